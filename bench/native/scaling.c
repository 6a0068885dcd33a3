/*
 * The native control of scaling: threads that compress and decompress pages with liblz4, half and half, at random,
 * each on memory of its own.
 *
 *   scaling <pages file> <content MiB> <operations>
 *
 * Each line on standard input is a number of threads (1 or 2); each of them does <operations> operations, starting
 * together, and one line of JSON with the wall time from the first start to the last end and the CPU time of all
 * threads is printed. Every distinct page is checked to survive the round trip first.
 */
#include <lz4.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE 4096
#define OUT_BYTES (PAGE + 512)
#define THREADS_MAX 2

struct worker {
  pthread_t thread;
  unsigned char *content; /* pages one behind the other */
  unsigned char *packed;  /* the same pages compressed */
  size_t *starts;
  uint32_t count;
  uint32_t operations;
  uint32_t random;
  pthread_barrier_t *barrier;
  uint64_t start_ns, end_ns, cpu_ns;
  uint64_t bytes;
};

static void fail(const char *why) {
  fprintf(stderr, "scaling: %s\n", why);
  exit(1);
}

static void *allocate(size_t bytes) {
  void *memory = malloc(bytes);
  if (!memory) fail("out of memory");
  memset(memory, 0, bytes);
  return memory;
}

static uint64_t now_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t below(struct worker *w, uint32_t bound) {
  uint32_t x = w->random;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  w->random = x;
  return x % bound;
}

static void *work(void *argument) {
  struct worker *w = argument;
  unsigned char out[OUT_BYTES];
  uint64_t bytes = 0;
  pthread_barrier_wait(w->barrier);
  w->start_ns = now_ns(CLOCK_MONOTONIC);
  uint64_t cpu_start = now_ns(CLOCK_THREAD_CPUTIME_ID);
  for (uint32_t i = 0; i < w->operations; i += 2) {
    const unsigned char *page = w->content + (size_t)below(w, w->count) * PAGE;
    bytes += LZ4_compress_default((const char *)page, (char *)out, PAGE, OUT_BYTES);
    uint32_t other = below(w, w->count);
    int size = (int)(w->starts[other + 1] - w->starts[other]);
    bytes += LZ4_decompress_safe((const char *)w->packed + w->starts[other], (char *)out, size, PAGE);
  }
  w->cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_start;
  w->end_ns = now_ns(CLOCK_MONOTONIC);
  w->bytes = bytes;
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 4) fail("usage: scaling <pages file> <content MiB> <operations>");
  FILE *file = fopen(argv[1], "rb");
  if (!file) fail("cannot open the pages file");
  fseek(file, 0, SEEK_END);
  uint32_t distinct = (uint32_t)(ftell(file) / PAGE);
  rewind(file);
  if (distinct == 0) fail("the pages file holds no page");
  unsigned char *pages = allocate((size_t)distinct * PAGE);
  if (fread(pages, PAGE, distinct, file) != distinct) fail("cannot read the pages file");
  fclose(file);
  uint32_t count = (uint32_t)((strtoull(argv[2], NULL, 10) << 20) / PAGE);

  struct worker workers[THREADS_MAX];
  for (int t = 0; t < THREADS_MAX; t++) {
    struct worker *w = &workers[t];
    memset(w, 0, sizeof *w);
    w->count = count;
    w->operations = (uint32_t)strtoul(argv[3], NULL, 10);
    w->random = (uint32_t)t + 1;
    w->content = allocate((size_t)count * PAGE);
    w->packed = allocate((size_t)count * OUT_BYTES);
    w->starts = allocate(((size_t)count + 1) * sizeof *w->starts);
    unsigned char check[PAGE];
    for (uint32_t i = 0; i < count; i++) {
      const unsigned char *page = pages + (size_t)(i % distinct) * PAGE;
      memcpy(w->content + (size_t)i * PAGE, page, PAGE);
      char *target = (char *)w->packed + w->starts[i];
      int size = LZ4_compress_default((const char *)page, target, PAGE, OUT_BYTES);
      if (size <= 0 || LZ4_decompress_safe(target, (char *)check, size, PAGE) != PAGE ||
          memcmp(check, page, PAGE) != 0)
        fail("a page does not survive the round trip");
      w->starts[i + 1] = w->starts[i] + (size_t)size;
    }
  }

  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    int threads = atoi(line);
    if (threads < 1 || threads > THREADS_MAX) fail("one or two threads");
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    for (int t = 0; t < threads; t++) {
      workers[t].barrier = &barrier;
      if (pthread_create(&workers[t].thread, NULL, work, &workers[t]) != 0) fail("no thread");
    }
    uint64_t start = UINT64_MAX, end = 0, cpu = 0;
    for (int t = 0; t < threads; t++) {
      pthread_join(workers[t].thread, NULL);
      if (workers[t].start_ns < start) start = workers[t].start_ns;
      if (workers[t].end_ns > end) end = workers[t].end_ns;
      cpu += workers[t].cpu_ns;
    }
    pthread_barrier_destroy(&barrier);
    printf("{\"wallNs\":%llu,\"cpuNs\":%llu}\n", (unsigned long long)(end - start), (unsigned long long)cpu);
    fflush(stdout);
  }
  return 0;
}
