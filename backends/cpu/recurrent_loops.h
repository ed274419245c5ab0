// Inner loops of recurrent layers.
#pragma once

#include <cstdint>

namespace naru::cpu {

/// y[columns] += x[rows] * matrix[rows, columns].
void add_row_product(float* y, const float* x, const float* matrix, std::int64_t rows, std::int64_t columns);

/// One LSTM step of one sequence: gates[4, hidden] in the order input, output, forget, cell.
void lstm_cell(const float* gates, std::int64_t hidden, float* c, float* h);

}  // namespace naru::cpu
