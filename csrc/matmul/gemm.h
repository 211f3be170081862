// The driver of every packed matrix product (matmul, convolution, RBM): C = alpha A B + beta C over micro-kernel tiles.
//
// A Problem describes one product. C has `rows` rows; its columns are a sequence of `panels` panels of at most NR<T>
// columns, each with its own base pointer, so that columns that are not evenly spaced (images) need no copy:
//
//   Index rows, depth, panels;   sizes; any may be 0
//   Index ldc;                   distance of two rows of C
//   T alpha, beta;               C is not read when beta is 0
//   Index columns(Index panel) const;          1..NR<T>
//   T* c(Index panel) const;                   C at row 0, first column of the panel
//   void pack_a(Index row, Index rows, Index p, Index depth, T* to) const;
//                                              A[row.., p..] as to[depth][MR<T>]; columns from `rows` on are not used
//   void pack_b(Index panel, Index p, Index depth, T* to) const;
//                                              B[p.., panel] as to[depth][NR<T>]; columns beyond columns(panel) may
//                                              hold anything but must be written
//   static constexpr bool has_finish;          whether finish is to be called
//   void finish(T* tile, Index stride, Index row, Index rows, Index panel) const;
//                                              the epilogue, on a finished tile of `rows` x NR<T> elements (always
//                                              whole vectors: edge tiles are finished in a scratch copy)
// and, optional, what is faster where the memory allows it:
//   bool direct_a(Index row, Index p, RowsOfA<T>& a) const;      A read in place; the same answer for every row and p
//   PlaceOfB find_b(Index panel, Index p, ColumnsOfB<T>& b) const;  how tiles read a panel of B; b, unless packed
//   void pack_a_panels(const RowPanels& panels, Index first, Index count, Index p, Index depth, T* to, Index stride)
//   const;
//                                              pack_a for several panels of rows, `stride` elements apart
// What the products of processors with AMX need of it: matmul/gemm_tiles.h.
// All are called from several threads at once. pack_columns and pack_rows (matmul/pack.h) do the copying for matrices.
// The order of additions of an element of C depends only on (rows, panels, depth), so the bits are the same for every
// number of threads: the depth is cut into equal blocks, and into slices where C is small.
#pragma once

#include <algorithm>

#include "../memory.h"
#include "../parallel.h"
#include "../types.h"
#include "../workspace.h"
#include "kernel.h"
#include "pack.h"

namespace dlcore::DLCORE_DEVICE {

namespace detail {

// Measured on Zen 3 (32 KiB L1, 512 KiB L2) against neighbours at half and twice the size; all are flat optima.
// A panel of B, NR x depth block, stays in the L1 cache: 25 KiB with AVX2.
inline constexpr Index max_depth_block = 400;
// Rows packed at a time, and the bytes of all their depth blocks packed at a time. The panels of A are read in order,
// once for each panel of B, so that they may come from the L3 cache.
template <typename T> inline constexpr Index max_packed_rows = 4096 / sizeof(T);
template <typename T> inline constexpr Index packed_a_size = (Index{320} << 10) / sizeof(T);
// Panels of A packed at once: so many lie side by side in a few cache lines of a transposed A.
inline constexpr Index packed_at_once = 8;
// With so few panels of columns, all of B is packed instead and A is read once, in place where possible: so many depth
// blocks at a time, and at most these bytes.
inline constexpr Index narrow_panels = 8, max_group = 4;
template <typename T> inline constexpr Index packed_b_size = (Index{192} << 10) / sizeof(T);
// So much of B every worker packs for itself.
template <typename T> inline constexpr Index own_pack_size = (Index{48} << 10) / sizeof(T);
// So few tiles over so many depth blocks are summed in slices of the depth.
inline constexpr Index max_sliced_tiles = 48, min_sliced_blocks = 4, max_slices = 16;
// Multiply-adds worth handing to another thread, about 10 microseconds; elements packed, fewer of them, as what follows
// waits for all.
inline constexpr Index multiply_grain = 400'000, pack_grain = 6144;
// With few columns, where a thread reads much of A for each sum.
inline constexpr Index narrow_grain = multiply_grain / 2;

template <typename T, typename Problem> class Product {
 public:
  explicit Product(const Problem& problem)
      : problem_(problem),
        row_panels_(problem.rows, MR<T>),
        depth_blocks_(std::max<Index>(1, ceil_div(problem.depth, max_depth_block))),
        block_(std::max<Index>(1, ceil_div(problem.depth, depth_blocks_))),
        alpha_(problem.depth == 0 ? T(0) : problem.alpha) {}

  bool is_sliced() const {
    return depth_blocks_ >= min_sliced_blocks && row_panels_.count * problem_.panels <= max_sliced_tiles;
  }

  void run() const {
    if (is_sliced()) run_sliced();
    else if (problem_.panels <= narrow_panels) run_b_resident();
    else run_a_resident();
  }

 private:
  Index depth_of(Index block) const { return std::min(block_, problem_.depth - block * block_); }

  bool direct_a(Index row_panel, Index block, RowsOfA<T>& a) const {
    if constexpr (requires { problem_.direct_a(row_panel, block, a); })
      return problem_.direct_a(row_panels_.begin(row_panel), block * block_, a);
    return false;
  }

  void pack_a_panels(Index first, Index count, Index block, T* to, Index stride) const {
    if constexpr (requires { problem_.pack_a_panels(row_panels_, first, count, block, block, to, stride); }) {
      problem_.pack_a_panels(row_panels_, first, count, block * block_, depth_of(block), to, stride);
    } else {
      for (Index i = first; i < first + count; ++i)
        problem_.pack_a(row_panels_.begin(i), row_panels_.rows(i), block * block_, depth_of(block),
                        to + (i - first) * stride);
    }
  }

  PlaceOfB find_b(Index panel, Index block, ColumnsOfB<T>& b) const {
    if constexpr (requires { problem_.find_b(panel, block, b); }) return problem_.find_b(panel, block * block_, b);
    return PlaceOfB::packed;
  }

  ColumnsOfB<T> pack_b(Index panel, Index block, T* space) const {
    problem_.pack_b(panel, block * block_, depth_of(block), space);
    return {space, NR<T>};
  }

  ColumnsOfB<T> columns_of_b(Index panel, Index block, T* space) const {
    ColumnsOfB<T> b;
    return find_b(panel, block, b) == PlaceOfB::in_place ? b : pack_b(panel, block, space);
  }

  // Adds one depth block to one tile of C.
  void compute_tile(Index row_panel, Index panel, Index block, const RowsOfA<T>& a, const ColumnsOfB<T>& b) const {
    if (problem_.columns(panel) < NR<T>) return compute_edge_tile(row_panel, panel, block, a, b);
    const Index row = row_panels_.begin(row_panel), ldc = problem_.ldc;
    const int rows = row_panels_.rows(row_panel);
    T* c = problem_.c(panel) + row * ldc;
    tile_kernel<T>(rows, false, a.contiguous_rows)(depth_of(block), a.data, a.stride, b.data, b.stride,
                                                   {c, ldc, alpha_, block == 0 ? problem_.beta : T(1)});
    if constexpr (Problem::has_finish)
      if (block == depth_blocks_ - 1) problem_.finish(c, ldc, row, rows, panel);
  }

  // A tile with fewer than NR columns: in a scratch tile.
  void compute_edge_tile(Index row_panel, Index panel, Index block, const RowsOfA<T>& a, const ColumnsOfB<T>& b) const {
    const Index row = row_panels_.begin(row_panel), columns = problem_.columns(panel), ldc = problem_.ldc;
    const int rows = row_panels_.rows(row_panel);
    const bool narrow = columns <= lanes<T>, finished = Problem::has_finish && block == depth_blocks_ - 1;
    const T beta = block == 0 ? problem_.beta : T(1);
    T* c = problem_.c(panel) + row * ldc;
    T tile[MR<T> * NR<T>];
    if (beta != T(0) || (narrow && finished)) std::memset(tile, 0, sizeof tile);
    if (beta != T(0))
      for (int i = 0; i < rows; ++i) copy_few<T, NR<T>>(tile + i * NR<T>, c + i * ldc, columns);
    tile_kernel<T>(rows, narrow, a.contiguous_rows)(depth_of(block), a.data, a.stride, b.data, b.stride,
                                                    {tile, NR<T>, alpha_, beta});
    if constexpr (Problem::has_finish)
      if (finished) problem_.finish(tile, NR<T>, row, rows, panel);
    for (int i = 0; i < rows; ++i) copy_few<T, NR<T>>(c + i * ldc, tile + i * NR<T>, columns);
  }

  // compute_tile for a column of `count` tiles; their rows of A are packed, `stride` elements apart. `space` is for the
  // panel of B.
  void compute_tiles(Index first, Index count, Index panel, Index block, const T* a, Index stride, T* space) const {
    ColumnsOfB<T> b;
    const PlaceOfB place = find_b(panel, block, b);
    if (place == PlaceOfB::packed) b = pack_b(panel, block, space);
    if (problem_.columns(panel) < NR<T>) {
      for (Index i = 0; i < count; ++i) compute_edge_tile(first + i, panel, block, {a + i * stride, MR<T>, false}, b);
      return;
    }
    const Index depth = depth_of(block), ldc = problem_.ldc;
    const bool last = block == depth_blocks_ - 1;
    Index row = row_panels_.begin(first);
    TileTarget<T> target{problem_.c(panel) + row * ldc, ldc, alpha_, block == 0 ? problem_.beta : T(1), space};
    for (Index i = 0; i < count; ++i) {
      const int rows = row_panels_.rows(first + i);
      const bool packs = i == 0 && place == PlaceOfB::packed_in_passing;
      const TileKernel<T> kernel = packs ? packing_tile_kernel<T>(rows) : tile_kernel<T>(rows, false, false);
      kernel(depth, a + i * stride, MR<T>, b.data, b.stride, target);
      if constexpr (Problem::has_finish)
        if (last) problem_.finish(target.c, ldc, row, rows, panel);
      row += rows;
      target.c += rows * ldc;
      if (packs) b = {space, NR<T>};
    }
  }

  // Blocks of rows of A are packed; each panel of B is packed just before it is used, so that it is in the L1 cache.
  void run_a_resident() const {
    const Index row_block = ceil_div(row_panels_.count, ceil_div(row_panels_.count, max_packed_rows<T> / MR<T>));
    const Index a_panel = block_ * MR<T>, b_panel = block_ * NR<T>;
    const Index group = std::clamp<Index>(packed_a_size<T> / (row_block * a_panel), 1, depth_blocks_);
    const Index work = MR<T> * b_panel;  // of a tile in a depth block
    const Buffer<T> packed_a(row_block * a_panel * group);
    const Team team(problem_.panels, std::max<Index>(1, multiply_grain / (row_block * work * group)));
    const Buffer<T> packed_b(team.workers() * b_panel);
    for (Index first_row = 0; first_row < row_panels_.count; first_row += row_block) {
      const Index row_count = std::min(row_block, row_panels_.count - first_row);
      for (Index first_block = 0; first_block < depth_blocks_; first_block += group) {
        const Index block_count = std::min(group, depth_blocks_ - first_block);
        parallel_for(row_count * block_count, std::max<Index>(1, pack_grain / a_panel), [&](Index begin, Index end) {
          for (Index i = begin, count; i < end; i += count) {
            count = std::min({packed_at_once, end - i, row_count - i % row_count});
            pack_a_panels(first_row + i % row_count, count, first_block + i / row_count, packed_a.data() + i * a_panel,
                          a_panel);
          }
        });
        team.run(row_count * work * block_count, [&](Index begin, Index end, int worker) {
          for (Index panel = begin; panel < end; ++panel)
            for (Index d = 0; d < block_count; ++d)
              compute_tiles(first_row, row_count, panel, first_block + d, packed_a.data() + d * row_count * a_panel,
                            a_panel, packed_b.data() + worker * b_panel);
        });
      }
    }
  }

  // The panels of some depth blocks of B, up to the block `end`.
  struct PackedB {
    Index end;
    ColumnsOfB<T> columns[narrow_panels * max_group];
  };

  // All of B (few panels) is packed, as many depth blocks at a time as stay in the L2 cache; each panel of A is read
  // once.
  void run_b_resident() const {
    const Index a_panel = block_ * MR<T>, b_panel = block_ * NR<T>, panels = problem_.panels;
    const Index group = std::clamp<Index>(packed_b_size<T> / (panels * b_panel), 1, std::min(max_group, depth_blocks_));
    const Index work = panels * b_panel * MR<T>;  // of a panel of A in a depth block
    const Team team(row_panels_.count, std::max<Index>(1, narrow_grain / (work * group)));
    RowsOfA<T> ignored;
    const bool direct = direct_a(0, 0, ignored);
    // Little of B is packed by every worker for itself: cheaper than to wait for each other, and then to fetch it from
    // the processor that wrote it.
    const bool own = group * panels * b_panel <= own_pack_size<T>;
    const int copies = own ? team.workers() : 1;
    const Workspace<T> packed_a(direct ? 0 : team.workers() * packed_at_once * a_panel);
    const Workspace<T> packed_b(copies * group * panels * b_panel);
    const Workspace<PackedB> packed(copies);
    for (int i = 0; i < copies; ++i) packed.data()[i].end = 0;
    for (Index first_block = 0; first_block < depth_blocks_; first_block += group) {
      const Index last_block = std::min(first_block + group, depth_blocks_);
      const auto pack = [&](int copy, Index begin, Index end) {
        T* const space = packed_b.data() + copy * group * panels * b_panel;
        for (Index i = begin; i < end; ++i)
          packed.data()[copy].columns[i] = columns_of_b(i % panels, first_block + i / panels, space + i * b_panel);
      };
      const Index packs = (last_block - first_block) * panels;
      if (!own)
        parallel_for(packs, std::max<Index>(1, pack_grain / b_panel),
                     [&](Index begin, Index end) { pack(0, begin, end); });
      team.run(work * (last_block - first_block), [&](Index begin, Index end, int worker) {
        T* space = packed_a.data() + worker * packed_at_once * a_panel;
        PackedB& with = packed.data()[own ? worker : 0];
        if (own && with.end != last_block) {
          pack(worker, 0, packs);
          with.end = last_block;
        }
        for (Index block = first_block; block < last_block; ++block) {
          const ColumnsOfB<T>* b = with.columns + (block - first_block) * panels;
          for (Index i = begin; i < end; ++i) {
            RowsOfA<T> a;
            if (!direct || !direct_a(i, block, a)) {
              const Index slot = (i - begin) % packed_at_once;
              if (slot == 0) pack_a_panels(i, std::min(packed_at_once, end - i), block, space, a_panel);
              a = {space + slot * a_panel, MR<T>, false};
            }
            for (Index panel = 0; panel < panels; ++panel) compute_tile(i, panel, block, a, b[panel]);
          }
        }
      });
    }
  }

  // C is small and the depth long: slices of the depth, their number given by the shape, are summed on their own and
  // then added in order.
  void run_sliced() const {
    const Index slices = std::min(max_slices, depth_blocks_ / 2);
    const Index tile = MR<T> * NR<T>, sum_size = row_panels_.count * problem_.panels * tile;
    const Index a_panel = block_ * MR<T>, b_panel = block_ * NR<T>;
    const Team team(slices, 1, problem_.depth * sum_size);
    const Buffer<T> sums(slices * sum_size);
    const Buffer<T> packed_a(team.workers() * row_panels_.count * a_panel);
    const Buffer<T> packed_b(team.workers() * b_panel);
    team.run([&](Index begin, Index end, int worker) {
      T* a = packed_a.data() + worker * row_panels_.count * a_panel;
      for (Index slice = begin; slice < end; ++slice) {
        const Index first = depth_blocks_ * slice / slices, last = depth_blocks_ * (slice + 1) / slices;
        for (Index block = first; block < last; ++block) {
          pack_a_panels(0, row_panels_.count, block, a, a_panel);
          T* sum = sums.data() + slice * sum_size;
          for (Index panel = 0; panel < problem_.panels; ++panel) {
            const ColumnsOfB<T> b = columns_of_b(panel, block, packed_b.data() + worker * b_panel);
            for (Index r = 0; r < row_panels_.count; ++r, sum += tile)
              tile_kernel<T>(row_panels_.rows(r), false, false)(depth_of(block), a + r * a_panel, MR<T>, b.data,
                                                                b.stride,
                                                                {sum, NR<T>, T(1), block == first ? T(0) : T(1)});
          }
        }
      }
    });
    T* sum = sums.data();
    for (Index panel = 0; panel < problem_.panels; ++panel)
      for (Index r = 0; r < row_panels_.count; ++r, sum += tile) {
        const Index row = row_panels_.begin(r), rows = row_panels_.rows(r), size = rows * NR<T>;
        for (Index slice = 1; slice < slices; ++slice)
          for (Index i = 0; i < size; ++i) sum[i] += sum[slice * sum_size + i];
        write_sum(sum, row, rows, panel);
      }
  }

  // alpha sum + beta C, finished.
  void write_sum(T* sum, Index row, Index rows, Index panel) const {
    const Index columns = problem_.columns(panel);
    T* c = problem_.c(panel) + row * problem_.ldc;
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < columns; ++j) {
        T& x = sum[i * NR<T> + j];
        x *= alpha_;
        if (problem_.beta != T(0)) x += problem_.beta * c[i * problem_.ldc + j];
      }
    if constexpr (Problem::has_finish) problem_.finish(sum, NR<T>, row, rows, panel);
    for (Index i = 0; i < rows; ++i)
      std::memcpy(c + i * problem_.ldc, sum + i * NR<T>, static_cast<std::size_t>(columns) * sizeof(T));
  }

  const Problem& problem_;
  const RowPanels row_panels_;
  const Index depth_blocks_, block_;
  const T alpha_;
};

}  // namespace detail

template <typename T, typename Problem> void gemm(const Problem& problem) {
  if (problem.rows == 0 || problem.panels == 0) return;
  detail::Product<T, Problem>(problem).run();
}

}  // namespace dlcore::DLCORE_DEVICE
