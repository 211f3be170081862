// The float32 products of processors with tiles of bfloat16 (AMX): panels of 32 rows of A and of 32 columns of B, split
// into three parts each (matmul/split.h), and tiles of 32 x 32 of C.
//
// Small products, and those summed in slices of the depth, stay with matmul/gemm.h. Its Problems take part here with
//
//   StepSource<float> step_of_a(Index row, Index rows, Index p, Index depth, float* space) const;
//            A[row.., p..] as [rows][32], rows <= 32; in place, or in `space` with zeros from `depth` on
//   StepSource<float> step_of_b(Index panel, Index p, Index depth, float* space) const;
//            B[p.., panel] as [32][NR], likewise; zeros or numbers of B beyond columns(panel)
//
// Tiles whose numbers the tile unit would treat differently, being infinite or near the ends of the range, are left to
// the float32 kernel, one by one. As there, bits depend on shapes alone.
#pragma once

#include <algorithm>
#include <cmath>

#include "../memory.h"
#include "../parallel.h"
#include "../types.h"
#include "kernel.h"
#include "pack.h"
#include "split.h"

namespace dlcore::DLCORE_DEVICE {

namespace detail {

// The steps of the depth that are summed at once: a panel of that depth, 36 KiB, stays in the L1 cache (48 KiB).
inline constexpr Index most_steps = 6;
inline constexpr Index most_depth = most_steps * tile_depth;
// Panels of the matrix that has fewer of them that are kept split: 1.1 MiB of a 2 MiB L2 cache.
inline constexpr Index most_held = 32;
// Elements of both matrices, split, for each element of C: splitting one costs about 20 multiply-adds of the float32
// kernel more than the tiles save of it.
inline constexpr Index least_reuse = 20;
// A sum of fewer products can round more often in tiles than in a chain.
inline constexpr Index least_tile_depth = 16;

struct SplitPanel {
  const std::uint32_t* words;
  const PanelRange* range;
};

// sums[2][2] = rows times columns; the second ones of either only if `lower`, `right`.
template <bool lower, bool right>
__attribute__((noinline)) void multiply_panels(Index steps, int parts, const SplitPanel& a, const SplitPanel& b,
                                               float* sums) {
  Tiles::zero<0, 0>();
  if constexpr (right) Tiles::zero<0, 1>();
  if constexpr (lower) Tiles::zero<1, 0>();
  if constexpr (lower && right) Tiles::zero<1, 1>();
  const int a_parts = std::min(parts, a.range->parts), b_parts = std::min(parts, b.range->parts);
  for (Index step = 0; step < steps; ++step) {
    const std::uint32_t* rows = a.words + step * step_words;
    for (int i = 0; i < a_parts; ++i, rows += part_words) {
      Tiles::load_rows<0>(rows);
      if constexpr (lower) Tiles::load_rows<1>(rows + tile_words);
      const std::uint32_t* columns = b.words + step * step_words;
      for (int j = 0; j < std::min(b_parts, parts - i); ++j, columns += part_words) {
        Tiles::load_columns<0>(columns);
        Tiles::multiply<0, 0>();
        if constexpr (lower) Tiles::multiply<1, 0>();
        if constexpr (right) {
          Tiles::load_columns<1>(columns + tile_words);
          Tiles::multiply<0, 1>();
          if constexpr (lower) Tiles::multiply<1, 1>();
        }
      }
    }
  }
  Tiles::store<0, 0>(sums, panel_side);
  if constexpr (right) Tiles::store<0, 1>(sums + tile_side, panel_side);
  if constexpr (lower) Tiles::store<1, 0>(sums + tile_side * panel_side, panel_side);
  if constexpr (lower && right) Tiles::store<1, 1>(sums + tile_side * panel_side + tile_side, panel_side);
}

template <typename Problem> class TileProduct {
 public:
  TileProduct(const Problem& problem, int parts)  // of an element that are multiplied; most_parts is exact
      : problem_(problem),
        rows_(problem.rows, panel_side),
        groups_(ceil_div(problem.panels, together)),
        steps_(ceil_div(problem.depth, tile_depth)),
        blocks_(ceil_div(steps_, most_steps)),
        parts_(parts) {}

  static bool suits(const Problem& problem) {
    const Index columns = (problem.panels - 1) * NR<float> + problem.columns(problem.panels - 1);
    return problem.depth >= least_tile_depth && problem.rows * columns >= least_reuse * (problem.rows + columns);
  }

  // The panels of one matrix are held, split, while those of the other, which has more, come one after the other.
  void run() const {
    const bool rows_held = rows_.count <= groups_;
    const Index held = rows_held ? rows_.count : groups_, others = rows_held ? groups_ : rows_.count;
    const Index most = ceil_div(held, ceil_div(held, most_held)), size = ceil_div(steps_, blocks_) * step_words;
    const Index panel_work = size / most_parts * panel_side;  // multiply-adds of a tile
    const Team holders(most, std::max<Index>(1, split_grain / size));
    const Team team(others, std::max<Index>(1, tile_grain / (panel_work * most)));
    const Index workers = std::max(holders.workers(), team.workers());
    const Buffer<std::uint32_t> words(most * size), other_words(team.workers() * size);
    const Buffer<PanelRange> ranges(most);
    const Buffer<float> spaces(workers * space_size);
    for (Index first = 0; first < held; first += most) {
      const Index count = std::min(most, held - first);
      for (Index block = 0; block < blocks_; ++block) {
        holders.run([&](Index begin, Index end, int worker) {
          for (Index i = begin; i < std::min(end, count); ++i)
            ranges.data()[i] =
                split(rows_held, first + i, block, words.data() + i * size, spaces.data() + worker * space_size);
        });
        team.run(panel_work * count, [&](Index begin, Index end, int worker) {
          std::uint32_t* const mine = other_words.data() + worker * size;
          float* const space = spaces.data() + worker * space_size;
          int configured = 0;
          for (Index other = begin; other < end; ++other) {
            const PanelRange range = split(!rows_held, other, block, mine, space);
            for (Index i = 0; i < count; ++i) {
              const SplitPanel kept{words.data() + i * size, ranges.data() + i}, streamed{mine, &range};
              const Index row_panel = rows_held ? first + i : other, group = rows_held ? other : first + i;
              if (rows_.rows(row_panel) != configured) Tiles::configure(configured = rows_.rows(row_panel));
              compute_tile(row_panel, group, block, rows_held ? kept : streamed, rows_held ? streamed : kept, space);
            }
          }
          Tiles::release();
        });
      }
    }
  }

 private:
  static constexpr Index together = panel_side / NR<float>;  // panels of the Problem in one of 32 columns
  static_assert(together >= 1 && panel_side % NR<float> == 0 && tile_side % lanes<float> == 0);
  // Of a worker: a tile of C, then a step of 32 x 32, or the float32 panels of a depth block.
  static constexpr Index plain_rows_size = most_depth * MR<float>, plain_columns_size = most_depth * NR<float>;
  static constexpr Index tile_size = panel_side * panel_side;
  static constexpr Index space_size = round_up(tile_size + plain_rows_size + plain_columns_size, 16);
  static constexpr Index split_grain = 16'384, tile_grain = 800'000;  // worth handing to another thread

  Index first_step(Index block) const { return steps_ * block / blocks_; }
  Index depth_of(Index block) const {
    return std::min(first_step(block + 1) * tile_depth, problem_.depth) - first_step(block) * tile_depth;
  }

  // A panel of rows of A, or of columns of B, over a depth block.
  PanelRange split(bool rows, Index panel, Index block, std::uint32_t* to, float* space) const {
    Splitter splitter;
    const Index end = std::min(first_step(block + 1) * tile_depth, problem_.depth);
    for (Index p = first_step(block) * tile_depth; p < end; p += tile_depth, to += step_words) {
      const Index depth = std::min(tile_depth, end - p);
      if (rows) {
        const StepSource<float> a = problem_.step_of_a(rows_.begin(panel), rows_.rows(panel), p, depth, space);
        split_rows(rows_.rows(panel), a.data, a.stride, to, splitter);
      } else {
        for (Index q = 0; q < together && panel * together + q < problem_.panels; ++q) {
          const StepSource<float> b = problem_.step_of_b(panel * together + q, p, depth, space);
          split_columns(NR<float>, b.data, b.stride, to + q * (NR<float> / tile_side) * tile_words, splitter);
        }
      }
    }
    return splitter.range();
  }

  // Adds one depth block to one tile of C.
  void compute_tile(Index row_panel, Index group, Index block, const SplitPanel& a, const SplitPanel& b,
                    float* space) const {
    const Index rows = rows_.rows(row_panel);
    float floor = 0;
    const Way way = way_of(*a.range, *b.range, floor);
    if (way != Way::plain) {
      const Index steps = first_step(block + 1) - first_step(block);
      const bool lower = rows > tile_side, right = columns_of(group) > tile_side;
      if (lower)
        right ? multiply_panels<true, true>(steps, parts_, a, b, space)
              : multiply_panels<true, false>(steps, parts_, a, b, space);
      else
        right ? multiply_panels<false, true>(steps, parts_, a, b, space)
              : multiply_panels<false, false>(steps, parts_, a, b, space);
    }
    if (way == Way::plain || (way == Way::tiles_checked && !all_reach(floor, rows, columns_of(group), space)))
      multiply_plainly(row_panel, group, block, space);
    for (Index q = 0; q < together && group * together + q < problem_.panels; ++q)
      add_to_c(rows_.begin(row_panel), rows, group * together + q, block, space + q * NR<float>);
  }

  Index columns_of(Index group) const {
    const Index last = std::min((group + 1) * together, problem_.panels) - 1;
    return (last - group * together) * NR<float> + problem_.columns(last);
  }

  static bool all_reach(float floor, Index rows, Index columns, const float* sums) {
    bool reach = true;
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < columns; ++j) reach &= std::abs(sums[i * panel_side + j]) >= floor;
    return reach;
  }

  // A tile of sums by the float32 kernel.
  __attribute__((noinline)) void multiply_plainly(Index row_panel, Index group, Index block, float* space) const {
    float* const a = space + tile_size;
    float* const b = a + plain_rows_size;
    const RowPanels rows(rows_.rows(row_panel), MR<float>);
    const Index p = first_step(block) * tile_depth, depth = depth_of(block);
    for (Index q = 0; q < together && group * together + q < problem_.panels; ++q) {
      problem_.pack_b(group * together + q, p, depth, b);
      for (Index i = 0; i < rows.count; ++i) {
        problem_.pack_a(rows_.begin(row_panel) + rows.begin(i), rows.rows(i), p, depth, a);
        float* const to = space + rows.begin(i) * panel_side + q * NR<float>;
        tile_kernel<float>(rows.rows(i), false, false)(depth, a, MR<float>, b, NR<float>, {to, panel_side, 1, 0});
      }
    }
  }

  void add_to_c(Index row, Index rows, Index panel, Index block, float* sums) const {
    const Index columns = problem_.columns(panel), ldc = problem_.ldc;
    const float alpha = problem_.alpha, beta = block == 0 ? problem_.beta : 1.0f;
    float* const c = problem_.c(panel) + row * ldc;
    for (Index i = 0; i < rows; ++i) {
      float* const from = sums + i * panel_side;
      for (Index j = 0; j < NR<float>; j += lanes<float>) {
        Vec<float> x = alpha * load(from + j);
        if (beta != 0) {
          const Index left = columns - j;
          const float* old = c + i * ldc + j;
          x += beta * (left >= lanes<float> ? load(old) : left > 0 ? load_partial(old, left) : Vec<float>{});
        }
        store(from + j, x);
      }
    }
    if constexpr (Problem::has_finish)
      if (block == blocks_ - 1) problem_.finish(sums, panel_side, row, rows, panel);
    for (Index i = 0; i < rows; ++i) {
      if (columns == NR<float>) std::memcpy(c + i * ldc, sums + i * panel_side, NR<float> * sizeof(float));
      else copy_few<float, NR<float>>(c + i * ldc, sums + i * panel_side, columns);
    }
  }

  const Problem& problem_;
  const RowPanels rows_;
  const Index groups_, steps_, blocks_;
  const int parts_;
};

}  // namespace detail
}  // namespace dlcore::DLCORE_DEVICE
