// CKernels.h
//
// The inner loops that Swift cannot express: arithmetic over GF(2^16) on whole rows of symbols,
// BLAKE2b in lanes, CRC32C. Each exists for several CPU levels; the scalar one is the twin that
// defines the result, and every other must give the same bytes.
//
// Nothing here but ck_pages_allocate allocates, and nothing keeps a pointer. Pointers need no
// alignment. Sizes are in bytes unless the name says otherwise. Every function may be called from
// several threads at once as long as what one call writes is not touched by another. Arguments are
// trusted: callers check them.

#ifndef CKERNELS_H
#define CKERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---------------------------------------------------------------------------------------------
// CPU levels

/// How much of the CPU the kernels use. Each level includes those below it.
typedef enum ck_level {
  CK_LEVEL_SCALAR = 0,
  /// AVX2, SSE4.2, PCLMULQDQ: byte shuffles over 32 bytes.
  CK_LEVEL_AVX2 = 1,
  /// AVX-512 F, BW, VL: byte shuffles over 64 bytes, 8 hash lanes.
  CK_LEVEL_AVX512 = 2,
  /// AVX-512 and GFNI: one affine instruction multiplies 64 bytes by an 8x8 bit matrix.
  CK_LEVEL_GFNI = 3,
} ck_level;

/// Number of levels; values are 0 ..< CK_LEVEL_COUNT.
#define CK_LEVEL_COUNT 4

/// What became of the environment variable WALRUS_CPU.
typedef enum ck_level_request {
  /// Not set: the best level of this CPU is used.
  CK_REQUEST_NONE = 0,
  CK_REQUEST_HONOURED = 1,
  /// Not one of scalar, avx2, avx512, gfni: ignored, the best level is used.
  CK_REQUEST_UNKNOWN = 2,
  /// A level that this CPU does not have: ignored, the best level is used.
  CK_REQUEST_UNSUPPORTED = 3,
} ck_level_request;

/// The level in use: the best one, or the one that WALRUS_CPU names. Decided once per process.
ck_level ck_level_in_use(void);

/// Whether WALRUS_CPU was obeyed; the program should report UNKNOWN and UNSUPPORTED.
ck_level_request ck_level_request_result(void);

/// The decision that ck_level_in_use makes: `wanted` is the value of WALRUS_CPU or NULL, an empty one
/// counts as not set. Writes the level to `level` and says what became of the wish.
ck_level_request ck_level_choose(const char *wanted, ck_level *level);

/// Whether this CPU and operating system can run the level.
bool ck_level_supported(ck_level level);

/// "scalar", "avx2", "avx512", "gfni", or "unknown"; a static string.
const char *ck_level_name(ck_level level);

// ---------------------------------------------------------------------------------------------
// Memory

/// Memory for `byte_count` bytes that hold anything, aligned to a cache line at least, on huge pages
/// where it is large and the system has them. NULL if there is none.
void *ck_pages_allocate(size_t byte_count);

/// Takes back what ck_pages_allocate gave, or NULL.
void ck_pages_free(void *memory);

/// Bytes of memory of this machine; 0 where the system does not say.
size_t ck_memory_bytes(void);

// ---------------------------------------------------------------------------------------------
// GF(2^16): rows of blocks
//
// A block is 64 bytes and holds 32 field elements: 32 low bytes, then their 32 high bytes. A row is
// a run of blocks: the same strip of one symbol, of one or many codewords. `rows` is `size` rows of
// `row_bytes` (a multiple of 64) one after the other.
//
// A factor is the multiplication by one constant, a 16x16 bit matrix, stored the way the level
// reads it. Factors are linear: the byte-wise XOR of two factors is the factor of the sum of their
// constants. The all-zero factor multiplies by zero.

/// The largest ck_gf_factor_bytes of all levels.
#define CK_GF_FACTOR_BYTES_MAX 128

/// The size of one factor.
size_t ck_gf_factor_bytes(ck_level level);

/// Makes the factor of a constant `c` from its 16 products c * (1 << j).
void ck_gf_factor_make(ck_level level, const uint16_t products[16], void *factor);

/// Fills a table of `count` factors: entry i is the sum of the `basis` factors j whose bit j is set
/// in i. `basis` holds ceil(log2(count)) factors. Entry 0 is the zero factor.
void ck_gf_factor_table(ck_level level, const void *basis, size_t count, void *table);

/// Inverse transform of `size` rows (a power of two) in place.
///
/// Layer d = 1, 2, 4 ... size/2: rows a and b that are d apart in a group of 2d rows become
/// b ^= a, then a ^= b * twiddle, where the twiddle of the group starting at row r is entry
/// (r + delta) / 2d of `twiddles`. `delta` is a multiple of `size`; rows from `nonzero_count` on
/// must be zero when called.
void ck_gf_ifft(ck_level level, uint8_t *rows, size_t row_bytes, size_t size, size_t delta,
                size_t nonzero_count, const void *twiddles);

/// Forward transform of `size` rows (a power of two) from `source` to `rows`, which are either the
/// same address or do not overlap.
///
/// Layer d = size/2 ... 2, 1: a ^= b * twiddle, then b ^= a, with twiddles as in ck_gf_ifft. Only
/// rows wanted_from ..< wanted_to are sure to be right afterwards, all others hold anything.
void ck_gf_fft(ck_level level, uint8_t *rows, const uint8_t *source, size_t row_bytes, size_t size,
               size_t delta, size_t wanted_from, size_t wanted_to, const void *twiddles);

/// target = source * factor over `row_bytes`. `target` may be `source`; no other overlap.
void ck_gf_multiply(ck_level level, uint8_t *target, const uint8_t *source, size_t row_bytes,
                    const void *factor);

/// target ^= source over `byte_count` bytes. No overlap.
void ck_gf_xor(ck_level level, uint8_t *target, const uint8_t *source, size_t byte_count);

/// Formal derivative in the transform's basis: for i = 1, 2, ... size-1 with lowest set bit w,
/// rows i-w ..< i are XORed with rows i ..< i+w.
void ck_gf_derivative(ck_level level, uint8_t *rows, size_t row_bytes, size_t size);

/// Linear combinations: target row t ^= source row s * elements[s * target_count + t], for all s and
/// t. Rows have `row_bytes`; those of targets and sources start a stride apart. `nibble_factors`
/// holds 64 factors: entry 16 i + v is the factor of the element v << 4 i. No overlap of targets
/// and sources.
///
/// Factors are put together on the way: a table of them would be larger than the cache, and so
/// slower, wherever there are many sources and targets.
void ck_gf_accumulate(ck_level level, uint8_t *targets, size_t target_stride, size_t target_count,
                      const uint8_t *sources, size_t source_stride, size_t source_count,
                      size_t row_bytes, const uint16_t *elements, const void *nibble_factors);

/// row = row * element, with factors as above.
void ck_gf_scale(ck_level level, uint8_t *row, size_t row_bytes, uint16_t element,
                 const void *nibble_factors);

/// One layer of the Walsh transform modulo 65535: (a, b) -> (a + b, a - b) for values that are
/// `distance` apart in groups of twice that. Zero may come out as 65535.
void ck_walsh_layer(uint16_t *values, size_t count, size_t distance);

// ---------------------------------------------------------------------------------------------
// Between symbols in memory and rows
//
// One symbol of `codeword_count` codewords, each `symbol_bytes` long (even) and `codeword_stride`
// apart, is one virtual row: first the whole 64-byte blocks of all codewords, codeword after
// codeword; then the tails (symbol_bytes % 64 bytes, low half then high half), as many codewords'
// tails to a block as fit. Rows hold any strip of it.

/// Blocks of the virtual row.
size_t ck_row_block_count(size_t symbol_bytes, size_t codeword_count);

/// Copies blocks first_block ..< first_block + block_count of the virtual row into `row`. Elements
/// of a tail block that belong to no codeword become zero.
void ck_row_gather(uint8_t *row, const uint8_t *symbol, size_t symbol_bytes, size_t codeword_stride,
                   size_t codeword_count, size_t first_block, size_t block_count);

/// Copies `count` symbols of `symbol_bytes` from one stride to another. No overlap.
void ck_symbols_copy(uint8_t *target, size_t target_stride, const uint8_t *source,
                     size_t source_stride, size_t symbol_bytes, size_t count);

/// The reverse of ck_row_gather: writes only bytes of the symbols.
void ck_row_scatter(const uint8_t *row, uint8_t *symbol, size_t symbol_bytes,
                    size_t codeword_stride, size_t codeword_count, size_t first_block,
                    size_t block_count);

// ---------------------------------------------------------------------------------------------
// BLAKE2b with a 32-byte digest, no key (RFC 7693)

/// A hash in progress. Plain memory: copy it to fork the hash.
typedef struct ck_blake2b {
  uint64_t state[8];
  uint64_t byte_count;
  uint8_t buffer[128];
  size_t buffered;
} ck_blake2b;

void ck_blake2b_init(ck_blake2b *hash);
void ck_blake2b_update(ck_blake2b *hash, const uint8_t *bytes, size_t byte_count);
/// Writes the 32-byte digest. The context must be initialised again before the next use.
void ck_blake2b_final(ck_blake2b *hash, uint8_t *digest);

/// Hashes, at a given level, which must be supported, `count` messages of `length` bytes that start
/// `stride` bytes apart; digest i (32 bytes) goes to digests + i * digest_stride. With `prefix` in
/// 0...255 that byte is hashed before each message; with -1 there is none.
///
/// `digests` may be `messages` itself when digest_stride <= stride and 32 <= stride (a tree level
/// hashed in place: stride 64, length 64, prefix 1, digest_stride 32). No other overlap.
void ck_blake2b_many(ck_level level, const uint8_t *messages, size_t stride, size_t length,
                     int prefix, size_t count, uint8_t *digests, size_t digest_stride);

/// Messages of equal length in rows: number j of row i is the `length` bytes from
/// first + i * row_stride + j * stride on.
typedef struct ck_message_rows {
  const uint8_t *first;
  size_t length;
  size_t stride;
  size_t row_stride;
  size_t row_length;
  size_t row_count;
} ck_message_rows;

/// Hashes rows of messages, behind the prefix as above. The digests of a row lie side by side; those of
/// the next row start `digest_row_stride` bytes after them, at least 32 * row_length. Lanes do not care
/// where a row ends. No overlap.
void ck_blake2b_rows(ck_message_rows messages, int prefix, uint8_t *digests,
                     size_t digest_row_stride);

/// The same at a given level, which must be supported.
void ck_blake2b_rows_at(ck_level level, ck_message_rows messages, int prefix, uint8_t *digests,
                        size_t digest_row_stride);

/// Hashes `count` pairs of 32-byte digests behind the byte `prefix`: digest i of left + i *
/// left_stride and right + i * right_stride goes to digests + i * 32. A stride of 0 takes the same
/// digest each time. `digests` may be `left` itself when left_stride is at least 32 (a tree level hashed
/// in place: right = left + 32, both strides 64); no other overlap.
void ck_blake2b_pairs(const uint8_t *left, size_t left_stride, const uint8_t *right,
                      size_t right_stride, uint8_t prefix, size_t count, uint8_t *digests);

/// The same at a given level, which must be supported.
void ck_blake2b_pairs_at(ck_level level, const uint8_t *left, size_t left_stride,
                         const uint8_t *right, size_t right_stride, uint8_t prefix, size_t count,
                         uint8_t *digests);

/// Bytes that a strip which is not the last must be a multiple of.
#define CK_BLAKE2B_STRIP_BYTES 128

/// A prefixed hash whose message comes in strips: what has been taken so far, and the one byte by
/// which the prefix pushes each strip beyond the blocks.
typedef struct ck_blake2b_strip {
  uint64_t state[8];
  uint64_t carry;
} ck_blake2b_strip;

/// Hashes the next strip of `count` messages side by side: bytes before ..< before + length of each,
/// the strips `stride` bytes apart. `strips` holds one hash per message and need not be initialised
/// for the first strip (before = 0), which the byte `prefix` precedes; every later call continues
/// where the one before has ended. All strips but the last (`last`: digests come out, as with
/// ck_blake2b_many) are a positive multiple of CK_BLAKE2B_STRIP_BYTES long.
void ck_blake2b_strips(ck_blake2b_strip *strips, const uint8_t *messages, size_t stride,
                       size_t length, uint8_t prefix, size_t count, uint64_t before, bool last,
                       uint8_t *digests, size_t digest_stride);

/// The same at a given level, which must be supported.
void ck_blake2b_strips_at(ck_level level, ck_blake2b_strip *strips, const uint8_t *messages,
                          size_t stride, size_t length, uint8_t prefix, size_t count,
                          uint64_t before, bool last, uint8_t *digests, size_t digest_stride);

// ---------------------------------------------------------------------------------------------
// CRC32C (Castagnoli, reflected, initial value and final XOR ffffffff)

/// The checksum of what `crc` covers followed by `bytes`; start with 0.
uint32_t ck_crc32c(uint32_t crc, const uint8_t *bytes, size_t byte_count);

/// The same at a given level, which must be supported.
uint32_t ck_crc32c_at(ck_level level, uint32_t crc, const uint8_t *bytes, size_t byte_count);

/// The checksums of `count` runs of `run_bytes` bytes, one after the other.
void ck_crc32c_runs(const uint8_t *bytes, size_t run_bytes, size_t count, uint32_t *checksums);

/// The same at a given level, which must be supported.
void ck_crc32c_runs_at(ck_level level, const uint8_t *bytes, size_t run_bytes, size_t count,
                       uint32_t *checksums);

#endif
