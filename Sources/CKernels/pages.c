// pages.c
//
// Large blocks of memory. A fresh block costs one fault per page that is touched, which for small
// pages took longer than encoding what was then written there; so the system is asked for huge ones.

#include <stdlib.h>
#include <unistd.h>

#include "CKernels.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { CACHE_LINE_BYTES = 64 };
static const size_t huge_page_bytes = (size_t)2 << 20;

void *ck_pages_allocate(size_t byte_count) {
  // From half a page on it is worth a whole one.
  bool huge = byte_count >= huge_page_bytes / 2 && byte_count <= SIZE_MAX - huge_page_bytes;
  size_t alignment = huge ? huge_page_bytes : CACHE_LINE_BYTES;
  if (huge) byte_count = (byte_count + huge_page_bytes - 1) / huge_page_bytes * huge_page_bytes;
  void *memory = NULL;
  if (posix_memalign(&memory, alignment, byte_count > 0 ? byte_count : 1) != 0) return NULL;
#if defined(__linux__)
  // A wish: where it is not granted, the pages stay small.
  if (huge) madvise(memory, byte_count, MADV_HUGEPAGE);
#endif
  return memory;
}

void ck_pages_free(void *memory) { free(memory); }

size_t ck_memory_bytes(void) {
  long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
  return pages > 0 && page_bytes > 0 ? (size_t)pages * (size_t)page_bytes : 0;
}
