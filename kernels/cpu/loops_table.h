/* loops_table.h: all loops, compiled for the instruction set of the file that includes this. Before that it defines
 * BPI_CPU_TABLE, the table's name, and BPI_CPU_ISA_NAME, its words. */
#include "kernels/cpu/loops_elementwise.h"
#include "kernels/cpu/loops_lanes.h"

#include "kernels/cpu/loops_bf16.h"

#include "kernels/cpu/loops_block.h"

#include "kernels/cpu/loops_block_short.h"

#include "kernels/cpu/loops_load.h"

#include "kernels/cpu/loops_loss_wide.h"

#include "kernels/cpu/loops_loss.h"
#include "kernels/cpu/loops_update.h"

#include "kernels/cpu/loops_observe.h"

extern const bpi_cpu_loops BPI_CPU_TABLE;

const bpi_cpu_loops BPI_CPU_TABLE = {
    .isa = BPI_CPU_ISA_NAME,
    .forward = forward,
    .backward = backward,
    .derivative = derivative,
    .hadamard = hadamard,
    .column_sums = column_sums,
    .add_parts = add_parts,
    .expand = expand,
    .shorten = shorten,
    .short_forward = short_forward,
    .short_backward = short_backward,
    .short_derivative = short_derivative,
    .short_hadamard = short_hadamard,
    .short_column_sums = short_column_sums,
    .column_moments = column_moments,
    .block_forward = block_forward,
    .block_backward = block_backward,
    .batch_norm_delta = batch_norm_delta,
    .short_block_forward = short_block_forward,
    .short_block_backward = short_block_backward,
    .short_batch_norm_delta = short_batch_norm_delta,
    .loss = loss_rows,
    .square_sum = square_sum,
    .update = update_parameters,
    .average = average_values,
    .count_off = count_off,
    .gradient_sums = gradient_sums,
    .move_sums = move_sums,
    .load = load,
};
