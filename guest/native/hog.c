// Takes more memory than the machine has and verifies every byte of it: hog MIB PASSES.
//
// A page's content follows from its number and its version, so that a lost, older or misplaced page is found. Pages
// are as compressible as swapped ones were measured to be under LZ4: some very well, most to a half, a few not at all.
// A page is 64 chunks of 64 bytes: the first `fresh` ones in an order of its own are random, the others repeat one of
// a few lines, as text and tables do.
//
// Fills in order; then each pass visits every third page, far from the one before, verifies it and gives it a new
// version; at the end all pages are verified in order.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE_BYTES = 4096, PAGE_WORDS = PAGE_BYTES / 8, CHUNKS = 64, CHUNK_WORDS = PAGE_WORDS / CHUNKS, LINES = 16 };

// A prime above the number of pages: steps of it visit each page once, far from the one before.
static const uint64_t STEP = 2654435761u;

static uint64_t lines[LINES][CHUNK_WORDS];

static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Chunks of random bytes in a page: with the token costs of LZ4 the classes end near 0.3, 1, 2, 3.3 and 4 KiB.
static unsigned fresh_chunks(uint64_t seed) {
  const unsigned percent = seed % 100;
  if (percent < 2) return 0;
  if (percent < 8) return 2;
  if (percent < 23) return 9;
  if (percent < 80) return 20;
  if (percent < 97) return 42;
  return CHUNKS;
}

static void fill(uint64_t *page, uint64_t number, uint64_t version) {
  const uint64_t seed = mix(number * 1000003 + version + 1);
  const unsigned fresh = fresh_chunks(seed);
  // An odd step visits all of 64 places once.
  const unsigned step = (unsigned)(seed >> 32) | 1;
  uint64_t state = seed | 1;
  for (unsigned i = 0; i < CHUNKS; i++) {
    uint64_t *chunk = page + (i * step % CHUNKS) * CHUNK_WORDS;
    if (i < fresh) {
      for (unsigned word = 0; word < CHUNK_WORDS; word++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk[word] = state;
      }
    } else {
      memcpy(chunk, lines[(seed >> 8) % LINES], sizeof lines[0]);
    }
  }
  // Told apart even where nothing is random.
  page[0] = seed;
}

static void verify(const uint64_t *page, uint64_t number, uint64_t version) {
  static uint64_t expected[PAGE_WORDS];
  fill(expected, number, version);
  if (memcmp(page, expected, PAGE_BYTES) == 0) return;
  printf("hog: page %llu is not version %llu\n", (unsigned long long)number, (unsigned long long)version);
  exit(1);
}

int main(int count, char **values) {
  const uint64_t mib = count == 3 ? strtoull(values[1], NULL, 10) : 0;
  const unsigned passes = count == 3 ? (unsigned)strtoul(values[2], NULL, 10) : 0;
  if (mib == 0) {
    fprintf(stderr, "hog MIB PASSES\n");
    return 2;
  }
  const uint64_t pages = mib * 256;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  uint64_t *memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
  uint8_t *versions = calloc(pages, 1);
  if (memory == MAP_FAILED || versions == NULL) {
    perror("hog");
    return 1;
  }
  for (unsigned line = 0; line < LINES; line++)
    for (unsigned word = 0; word < CHUNK_WORDS; word++) lines[line][word] = mix(line * CHUNK_WORDS + word);
  for (uint64_t page = 0; page < pages; page++) fill(memory + page * PAGE_WORDS, page, 0);
  for (unsigned pass = 0; pass < passes; pass++) {
    for (uint64_t i = 0, page = pass % pages; i < pages; i++, page = (page + STEP) % pages) {
      if (page % 3 != pass % 3) continue;
      verify(memory + page * PAGE_WORDS, page, versions[page]);
      fill(memory + page * PAGE_WORDS, page, ++versions[page]);
    }
  }
  for (uint64_t page = 0; page < pages; page++) verify(memory + page * PAGE_WORDS, page, versions[page]);
  printf("hog: %llu pages verified\n", (unsigned long long)pages);
  return 0;
}
