// A plan: the kernel calls of one step, recorded while they run, and replayed without Python.
//
// Every binding calls its kernel through `launch`. While this thread records a plan, a launch is run and also copied
// into the plan: the kernel and its arguments, all by value. Arrays made meanwhile come from the plan's arena, so that
// a replay finds every block where the recording had it; arrays made before are kept alive. What a step's Python
// computes from values, not from shapes, a replay cannot repeat: bindings that hand values to Python call
// `cannot_replay`. What changes from step to step in a known way has a place in the plan that a replay fills in: draws'
// steps (`Draw`), optimizers' numbers (`varying`), and figures that come out (`figure`). On a GPU the launches become
// graphs (plan_graphs.h).
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "../array.h"
#include "../graph.h"

namespace dlcore::DLCORE_DEVICE {

namespace py = pybind11;

class PlanGraphs;

class Plan {
 public:
  Plan();
  ~Plan();
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  // The steps of one key's draws: a replay adds `shift` to those recorded.
  struct Stream {
    std::uint64_t key, shift = 0;
    std::vector<std::uint64_t> steps = {};   // recorded
    std::vector<std::size_t> launches = {};  // and before which launches
  };
  // A number of an optimizer, within the plan's copy of its options.
  enum class Kind : std::uint8_t { number, count, flag };
  struct Field {
    void* place;
    Kind kind;
  };
  // Rows of data brought into `staged` before each step.
  struct Input {
    Array data, staged;
  };

  // Bytes that live as long as the plan, at their place.
  void* bytes(std::size_t count);
  template <typename T> T* copy(const T& value) {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 16);
    void* place = bytes(sizeof(T));
    std::memcpy(place, &value, sizeof(T));
    return static_cast<T*>(place);
  }
  template <typename Call> void add(const Call& call) {
    launches.push_back({[](const void* given) { (*static_cast<const Call*>(given))(); }, copy(call)});
  }
  void keep(const Array& array);        // an array made before the recording
  bool uses(const Array& array) const;  // whether its memory is that of an array kept
  void note_written(const Array& array);
  void rewind_here();  // at a look at values
  void save() const;
  void restore() const;
  // Runs the launches from `at` on up to `last`; where one throws, `at` is that one.
  void advance(std::size_t last) {
    for (; at < last; ++at) launches[at].run(launches[at].call);
  }
  const std::uint64_t* shift_of(std::uint64_t key, std::uint64_t step);

  Arena* arena;
  std::vector<Launch> launches;
  std::vector<Array> kept;
  std::vector<std::unique_ptr<Stream>> streams;
  std::vector<Field> fields;
  std::vector<Array> figures;  // one element each
  std::vector<Input> inputs;
  Index first = 0;                      // row of the next step, of the inputs' data or
  const std::int32_t* order = nullptr;  // of their order
  // Arrays made before that the step writes into; and, with room for what was in them, those that it had written when
  // it looked at values: where a replay finds another answer, the step is made again from its beginning.
  std::vector<Array> written;
  std::vector<std::pair<Array, Array>> rewound;
  std::vector<Array> arguments;  // what a step that `dlcore.traced` recorded was given
  std::vector<Array> results;    // and what it returned
  std::size_t stop = 0;  // launches before the place where a replay ends at a figure that is not finite; 0: none
  std::size_t stop_figure = 0;
  std::string reason;           // why it cannot be replayed
  std::vector<double> numbers;  // of the newest step, as given
  bool running = false;
  Index work = 0;                      // of all launches
  std::size_t at = 0;                  // the next launch of a replay
  Index done = 0;                      // whole steps of the newest run
  std::vector<double> found;           // its figures, step by step
  std::unique_ptr<PlanGraphs> graphs;  // once it has been replayed by a device that makes them
  bool may_have_graphs = true;         // until there was no memory for them
  double patience = 0.25;              // seconds that steps issued together may take

 private:
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::size_t left_ = 0;
  std::byte* next_ = nullptr;
};

// Thrown by a launch that finds another answer than the recorded step had: the plan does not hold for these values.
class OtherAnswer : public py::value_error {
  using py::value_error::value_error;
};

// Counts a plan as running to whoever asks, however the block ends.
class Busy {
 public:
  explicit Busy(Plan& plan) : plan_(plan) { plan.running = true; }
  ~Busy() { plan_.running = false; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  Plan& plan_;
};

void require_idle(const char* op, const Plan& plan);
// Steps of rows from `first` on are the plan's next ones; ValueError where there are not so many.
void require_rows(const std::string& op, Plan& plan, Index steps, Index first, const std::optional<Array>& order);
void fill_inputs(const Plan& plan);  // the rows of the next step, into what the recorded one read
// Puts the numbers of a step where its optimizers read them; counts are `later` than given.
void write_numbers(const Plan& plan, const double* row, Index later);

// The plan that this thread records.
inline thread_local Plan* recorded = nullptr;
inline Plan* recording() { return recorded; }

// Out of the plan's arena: workspaces, which kernels take anew at each replay.
class OutsideArena {
 public:
  OutsideArena() : arena_(use_arena(nullptr)) {}
  ~OutsideArena() { use_arena(arena_); }
  OutsideArena(const OutsideArena&) = delete;
  OutsideArena& operator=(const OutsideArena&) = delete;

 private:
  Arena* arena_;
};

// Calls f with the GIL released when there is enough work (in rough scalar operations) to be worth the hand-over.
template <typename F> void without_gil(Index work, const F& f) {
  constexpr Index worth_a_release = 100'000;  // about 10 microseconds
  if (work < worth_a_release) return f();
  const py::gil_scoped_release release;
  f();
}

// Whether an argument of this type is another at each replay of a step, beside a `Draw`.
template <typename T> inline constexpr bool changes_between_steps = false;
template <typename Options> class Varying;
template <typename Options> inline constexpr bool changes_between_steps<Varying<Options>> = true;

// Runs a launch, whose call has so many bytes, and adds it to the plan that this thread records.
void run_and_record(Index work, Launch launch, std::size_t bytes);

// Calls kernel(arguments...), with the GIL released as above, and adds the call to the plan that this thread records.
// All is taken by value: the kernel is a lambda that captures nothing, the arguments are pointers, sizes and options. A
// kernel may throw what a binding throws (a check of values), with or without the GIL.
template <typename Kernel, typename... Arguments> void launch(Index work, Kernel, Arguments... arguments) {
  static_assert(std::is_empty_v<Kernel>, "a launched kernel captures nothing: give it what it needs as arguments");
  static_assert((std::is_trivially_copyable_v<Arguments> && ...), "give pointers, sizes and plain options");
  const auto call = [=] { Kernel{}(arguments...); };
  static_assert(alignof(decltype(call)) <= 16);
  constexpr bool varies = (changes_between_steps<Arguments> || ...);
  run_and_record(work, {[](const void* given) { (*static_cast<decltype(&call)>(given))(); }, &call, varies},
                 sizeof call);
}

// A binding that hands values to Python, or takes them from it, says so.
inline void cannot_replay(const char* reason) {
  if (Plan* plan = recording())
    if (plan->reason.empty()) plan->reason = reason;
}

// The same numbers where the plan keeps them while one is recorded, for launches.
template <typename T> const T* kept(const T* data, std::size_t count) {
  static_assert(std::is_trivially_copy_constructible_v<T> && std::is_trivially_destructible_v<T> && alignof(T) <= 16);
  Plan* plan = recording();
  if (!plan || count == 0) return data;
  void* place = plan->bytes(count * sizeof(T));
  std::memcpy(place, static_cast<const void*>(data), count * sizeof(T));
  return static_cast<const T*>(place);
}

// A draw's key and step; in a replay the step is that of the generator then.
class Draw {
 public:
  Draw(std::uint64_t key, std::uint64_t step)
      : key_(key), step_(step), shift_(recording() ? recording()->shift_of(key, step) : nullptr) {}
  std::uint64_t key() const { return key_; }
  std::uint64_t step() const { return shift_ ? step_ + *shift_ : step_; }

 private:
  std::uint64_t key_, step_;
  const std::uint64_t* shift_;
};

// An optimizer's options; in a replay those of the step.
template <typename Options> class Varying {
 public:
  Varying(const Options& options, Options* place) : options_(options), place_(place) {}
  const Options& operator*() const { return place_ ? *place_ : options_; }

 private:
  Options options_;
  const Options* place_;
};

// `fields` are those of `options` that Python gives, in the order of its arguments; an Index counts the steps.
template <typename Options, typename... Fields>
Varying<Options> varying(const Options& options, const Fields&... fields) {
  Plan* plan = recording();
  if (!plan) return {options, nullptr};
  Options* place = plan->copy(options);
  const auto add = [&](const auto& field) {
    using Type = std::remove_cvref_t<decltype(field)>;
    constexpr Plan::Kind kind = std::is_same_v<Type, bool>     ? Plan::Kind::flag
                                : std::is_same_v<Type, double> ? Plan::Kind::number
                                                               : Plan::Kind::count;
    const auto offset = reinterpret_cast<const std::byte*>(&field) - reinterpret_cast<const std::byte*>(&options);
    plan->fields.push_back({reinterpret_cast<std::byte*>(place) + offset, kind});
  };
  (add(fields), ...);
  return {options, place};
}

// Where a launch puts a number that Python gets, in the device's memory: `value`, or a figure of the plan, which a
// replay collects.
class Figure {
 public:
  Figure() {
    const OutsideArena outside;
    room_ = Array::empty({1}, DType::float64);
    if (Plan* plan = recording()) plan->figures.push_back(room_);
  }
  Figure(const Figure&) = delete;
  Figure& operator=(const Figure&) = delete;
  double* place() { return room_.data<double>(); }
  double value() const { return value_at(room_.data<double>()); }

 private:
  Array room_;
};

}  // namespace dlcore::DLCORE_DEVICE
