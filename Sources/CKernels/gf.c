// gf.c
//
// Entry points of the field kernels, and the parts that need no particular CPU.

#include <string.h>

#include "gf_kernels.h"

static const gf_kernels *kernels_of(ck_level level) {
#if defined(__x86_64__)
  switch (level) {
    case CK_LEVEL_SCALAR: return &gf_scalar;
    case CK_LEVEL_AVX2: return &gf_avx2;
    case CK_LEVEL_AVX512: return &gf_avx512;
    case CK_LEVEL_GFNI: return &gf_gfni;
  }
#else
  (void)level;
#endif
  return &gf_scalar;
}

size_t ck_gf_factor_bytes(ck_level level) { return kernels_of(level)->factor_bytes; }

void ck_gf_factor_make(ck_level level, const uint16_t products[16], void *factor) {
  kernels_of(level)->factor_make(products, factor);
}

/// target = a ^ b; vectorised by the compiler.
static inline void add_factors(uint8_t *target, const uint8_t *a, const uint8_t *b, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) target[i] = a[i] ^ b[i];
}

void ck_gf_factor_sum(ck_level level, const void *units, uint16_t element, void *factor) {
  size_t bytes = ck_gf_factor_bytes(level);
  memset(factor, 0, bytes);
  for (unsigned remaining = element; remaining != 0; remaining &= remaining - 1) {
    size_t unit = (size_t)__builtin_ctz(remaining);
    add_factors(factor, factor, (const uint8_t *)units + unit * bytes, bytes);
  }
}

void ck_gf_factor_table(ck_level level, const void *basis, size_t count, void *table) {
  size_t bytes = ck_gf_factor_bytes(level);
  if (count == 0) return;
  memset(table, 0, bytes);
  for (size_t index = 1; index < count; index++) {
    size_t top = 63 - (size_t)__builtin_clzll(index);
    const uint8_t *rest = (const uint8_t *)table + (index - ((size_t)1 << top)) * bytes;
    const uint8_t *unit = (const uint8_t *)basis + top * bytes;
    add_factors((uint8_t *)table + index * bytes, rest, unit, bytes);
  }
}

void ck_gf_ifft(ck_level level, uint8_t *rows, size_t row_bytes, size_t size, size_t delta,
                size_t nonzero_count, const void *twiddles) {
  kernels_of(level)->ifft(rows, row_bytes, size, delta, nonzero_count, twiddles);
}

void ck_gf_fft(ck_level level, uint8_t *rows, const uint8_t *source, size_t row_bytes, size_t size,
               size_t delta, size_t wanted_from, size_t wanted_to, const void *twiddles) {
  kernels_of(level)->fft(rows, source, row_bytes, size, delta, wanted_from, wanted_to, twiddles);
}

void ck_gf_multiply(ck_level level, uint8_t *target, const uint8_t *source, size_t row_bytes,
                    const void *factor) {
  kernels_of(level)->multiply(target, source, row_bytes, factor);
}

void ck_gf_xor(ck_level level, uint8_t *target, const uint8_t *source, size_t byte_count) {
  kernels_of(level)->exclusive_or(target, source, byte_count);
}

void ck_gf_derivative(ck_level level, uint8_t *rows, size_t row_bytes, size_t size) {
  const gf_kernels *kernels = kernels_of(level);
  for (size_t i = 1; i < size; i++) {
    size_t width = i & (~i + 1);
    kernels->exclusive_or(rows + (i - width) * row_bytes, rows + i * row_bytes, width * row_bytes);
  }
}
