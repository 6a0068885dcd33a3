/*
 * The native control of the benchmarks: the public codec libraries alone, one call a page.
 *
 *   control <lz4|lzo> <compress|decompress> <pages file> <content MiB> <order seed> <rounds>
 *
 * The file holds 4096-byte pages. They are laid out one behind the other in file order, over and over until
 * <content MiB> are filled (0: once), and visited in an order shuffled by <order seed> (0: as laid out), each page
 * once a round. For decompress the compressed pages lie packed, one behind the other, in the same layout; the
 * output is one buffer. Before the first round every distinct page is checked to survive the round trip.
 *
 * Each round starts when a line arrives on standard input (or at once when there have been <rounds> lines: the
 * program then ends) and prints one line of JSON. Time is CPU time of the thread.
 */
#include <lz4.h>
#include <lzo/lzo1x.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE 4096
/* Above the bound of both libraries for one page; the rest is room for their wide copies. */
#define OUT_BYTES (PAGE + 512)

static unsigned char work_memory[LZO1X_1_MEM_COMPRESS] __attribute__((aligned(64)));

static void fail(const char *why) {
  fprintf(stderr, "control: %s\n", why);
  exit(1);
}

static void *allocate(size_t bytes) {
  void *memory = malloc(bytes);
  if (!memory) fail("out of memory");
  memset(memory, 0, bytes); /* touched, so that no page fault falls into a round */
  return memory;
}

static size_t compress_page(int lzo, const unsigned char *page, unsigned char *out) {
  if (lzo) {
    lzo_uint size = OUT_BYTES;
    return lzo1x_1_compress(page, PAGE, out, &size, work_memory) == LZO_E_OK ? size : 0;
  }
  int size = LZ4_compress_default((const char *)page, (char *)out, PAGE, OUT_BYTES);
  return size > 0 ? (size_t)size : 0;
}

static size_t decompress_page(int lzo, const unsigned char *data, size_t bytes, unsigned char *out) {
  if (lzo) {
    lzo_uint size = PAGE;
    return lzo1x_decompress_safe(data, bytes, out, &size, NULL) == LZO_E_OK ? size : 0;
  }
  int size = LZ4_decompress_safe((const char *)data, (char *)out, (int)bytes, PAGE);
  return size > 0 ? (size_t)size : 0;
}

/* The same generator and shuffle as bench/support/order.ts. */
static uint32_t next_random(uint32_t *state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

static uint32_t *make_order(uint32_t count, uint32_t seed) {
  uint32_t *order = allocate((size_t)count * sizeof *order);
  for (uint32_t i = 0; i < count; i++) order[i] = i;
  if (seed != 0) {
    for (uint32_t i = count - 1; i > 0; i--) {
      uint32_t j = next_random(&seed) % (i + 1);
      uint32_t held = order[i];
      order[i] = order[j];
      order[j] = held;
    }
  }
  return order;
}

static double thread_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 7) fail("usage: control <lz4|lzo> <compress|decompress> <pages file> <content MiB> <seed> <rounds>");
  int lzo = strcmp(argv[1], "lzo") == 0;
  int decompress = strcmp(argv[2], "decompress") == 0;
  if (!lzo && strcmp(argv[1], "lz4") != 0) fail("the codec must be lz4 or lzo");
  if (!decompress && strcmp(argv[2], "compress") != 0) fail("the operation must be compress or decompress");
  if (lzo_init() != LZO_E_OK) fail("liblzo2 does not start");

  FILE *file = fopen(argv[3], "rb");
  if (!file) fail("cannot open the pages file");
  fseek(file, 0, SEEK_END);
  uint32_t distinct = (uint32_t)(ftell(file) / PAGE);
  rewind(file);
  if (distinct == 0) fail("the pages file holds no page");
  unsigned char *pages = allocate((size_t)distinct * PAGE);
  if (fread(pages, PAGE, distinct, file) != distinct) fail("cannot read the pages file");
  fclose(file);

  uint64_t content = strtoull(argv[4], NULL, 10) << 20;
  uint32_t count = content ? (uint32_t)(content / PAGE) : distinct;
  uint32_t *order = make_order(count, (uint32_t)strtoul(argv[5], NULL, 10));
  uint32_t rounds = (uint32_t)strtoul(argv[6], NULL, 10);
  unsigned char *out = allocate(OUT_BYTES);
  unsigned char *check = allocate(OUT_BYTES);

  size_t *sizes = allocate(distinct * sizeof *sizes);
  for (uint32_t i = 0; i < distinct; i++) {
    const unsigned char *page = pages + (size_t)i * PAGE;
    sizes[i] = compress_page(lzo, page, out);
    if (sizes[i] == 0 || decompress_page(lzo, out, sizes[i], check) != PAGE || memcmp(check, page, PAGE) != 0)
      fail("a page does not survive the round trip");
  }
  size_t total = 0;
  for (uint32_t i = 0; i < count; i++) total += sizes[i % distinct];

  unsigned char *data;
  size_t *starts = allocate(count * sizeof *starts);
  if (decompress) {
    data = allocate(total + OUT_BYTES);
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
      starts[i] = at;
      at += compress_page(lzo, pages + (size_t)(i % distinct) * PAGE, data + at);
    }
  } else {
    data = allocate((size_t)count * PAGE);
    for (uint32_t i = 0; i < count; i++) {
      starts[i] = (size_t)i * PAGE;
      memcpy(data + starts[i], pages + (size_t)(i % distinct) * PAGE, PAGE);
    }
  }

  char line[64];
  for (uint32_t round = 0; round < rounds && fgets(line, sizeof line, stdin); round++) {
    size_t bytes = 0;
    double start = thread_ns();
    if (decompress) {
      for (uint32_t i = 0; i < count; i++)
        bytes += decompress_page(lzo, data + starts[order[i]], sizes[order[i] % distinct], out);
    } else {
      for (uint32_t i = 0; i < count; i++) bytes += compress_page(lzo, data + starts[order[i]], out);
    }
    double spent = thread_ns() - start;
    if (bytes != (decompress ? (size_t)count * PAGE : total)) fail("a round gave other sizes than the check");
    printf("{\"nsPerPage\":%.2f,\"pages\":%u,\"compressedBytes\":%zu}\n", spent / count, count, total);
    fflush(stdout);
  }
  return 0;
}
