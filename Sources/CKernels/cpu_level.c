// cpu_level.c
//
// Which level the kernels run at. Decided once: a level that changed while factors are in use would
// read them in the wrong form.

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "CKernels.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static ck_level chosen = CK_LEVEL_SCALAR;
static ck_level_request request = CK_REQUEST_NONE;

bool ck_level_supported(ck_level level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("sse4.2") &&
              __builtin_cpu_supports("pclmul");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl");
  switch (level) {
    case CK_LEVEL_SCALAR: return true;
    case CK_LEVEL_AVX2: return avx2;
    case CK_LEVEL_AVX512: return avx512;
    case CK_LEVEL_GFNI: return avx512 && __builtin_cpu_supports("gfni");
  }
  return false;
#else
  return level == CK_LEVEL_SCALAR;
#endif
}

const char *ck_level_name(ck_level level) {
  switch (level) {
    case CK_LEVEL_SCALAR: return "scalar";
    case CK_LEVEL_AVX2: return "avx2";
    case CK_LEVEL_AVX512: return "avx512";
    case CK_LEVEL_GFNI: return "gfni";
  }
  return "unknown";
}

ck_level_request ck_level_choose(const char *wanted, ck_level *level) {
  *level = CK_LEVEL_SCALAR;
  for (int candidate = 0; candidate < CK_LEVEL_COUNT; candidate++) {
    if (ck_level_supported((ck_level)candidate)) *level = (ck_level)candidate;
  }
  if (wanted == NULL || wanted[0] == 0) return CK_REQUEST_NONE;
  for (int candidate = 0; candidate < CK_LEVEL_COUNT; candidate++) {
    if (strcmp(wanted, ck_level_name((ck_level)candidate)) != 0) continue;
    if (!ck_level_supported((ck_level)candidate)) return CK_REQUEST_UNSUPPORTED;
    *level = (ck_level)candidate;
    return CK_REQUEST_HONOURED;
  }
  return CK_REQUEST_UNKNOWN;
}

static void choose_once(void) { request = ck_level_choose(getenv("WALRUS_CPU"), &chosen); }

ck_level ck_level_in_use(void) {
  pthread_once(&once, choose_once);
  return chosen;
}

ck_level_request ck_level_request_result(void) {
  pthread_once(&once, choose_once);
  return request;
}
