/*
 * The load of the NBD benchmark, the same for every server: real pages through libnbd's asynchronous calls.
 *
 *   nbd-load <unix socket> <pages file> <image MiB>
 *
 * The image is made of runs of RUN pages that are neighbours in the file, too, each from a random place of it, so that
 * a server which compresses several pages together finds what it would find in a swap image.
 *
 * Each line on standard input is one task, and one line of JSON is printed when it is done:
 *
 *   image <file>                          writes the image to a file; needs no server
 *   fill                                  writes the whole image to the server
 *   load <clients> <depth> <ms> <verify>  random 4 KiB reads and writes, half and half; a write puts a random page of
 *                                         the file; each client has a connection and a thread of its own
 *   check                                 reads the whole image and compares it
 *
 * What each page of the image has to hold is known throughout: with <verify> 1 every read is compared. Page i belongs
 * to client i % clients, and no request begins for a page that another one is under way for, so there is one right
 * answer. Time is the wall clock, to the last reply.
 */
#include <libnbd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE 4096
#define RUN 256
/* Requests of fill and check: pages of each, how many at a time. */
#define LONG 64
#define LONG_DEPTH 8
#define DEPTH_MAX 256
#define CLIENTS_MAX 8
#define LINE_BYTES 4200 /* with a path */
/* Any but 0. */
#define LAYOUT_SEED 20260101u

static const char *socket_path;
static unsigned char *pages; /* the file */
static uint32_t distinct;
static uint32_t image_pages;
static uint32_t *held;      /* page of the file that each page of the image holds */
static unsigned char *busy; /* requests under way for it */

struct client;

struct request {
  struct client *client;
  unsigned char *buffer; /* of a read or a long write */
  uint32_t page;
  uint32_t count;
  int is_read;
};

struct client {
  pthread_t thread;
  pthread_barrier_t *barrier;
  struct nbd_handle *nbd;
  uint32_t index, clients, depth;
  uint64_t ms;
  int verify;
  uint32_t random;
  struct request requests[DEPTH_MAX];
  struct request *idle[DEPTH_MAX];
  uint32_t idle_count;
  uint64_t operations, start_ns, end_ns;
};

static void fail(const char *why) {
  fprintf(stderr, "nbd-load: %s\n", why);
  exit(1);
}

static void fail_nbd(void) { fail(nbd_get_error()); }

static void *allocate(size_t bytes) {
  void *memory = aligned_alloc(PAGE, (bytes + PAGE - 1) / PAGE * PAGE);
  if (!memory) fail("out of memory");
  memset(memory, 0, bytes);
  return memory;
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t below(uint32_t *state, uint32_t bound) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  *state = x;
  return (uint32_t)(((uint64_t)x * bound) >> 32);
}

static const unsigned char *content(uint32_t page) { return pages + (size_t)held[page] * PAGE; }

static int done(void *user, int *error) {
  struct request *request = user;
  struct client *client = request->client;
  if (*error != 0) {
    fprintf(stderr, "nbd-load: a %s of page %u failed: %s\n", request->is_read ? "read" : "write", request->page,
            strerror(*error));
    exit(1);
  }
  for (uint32_t i = 0; i < request->count; i++) {
    busy[request->page + i] = 0;
    if (request->is_read && client->verify &&
        memcmp(request->buffer + (size_t)i * PAGE, content(request->page + i), PAGE) != 0) {
      fprintf(stderr, "nbd-load: page %u is not what was written\n", request->page + i);
      exit(1);
    }
  }
  client->idle[client->idle_count++] = request;
  return 1;
}

static void submit(struct client *client, struct request *request, const void *from) {
  nbd_completion_callback completion = {.callback = done, .user_data = request};
  uint64_t offset = (uint64_t)request->page * PAGE;
  size_t bytes = (size_t)request->count * PAGE;
  memset(busy + request->page, 1, request->count);
  int64_t cookie = request->is_read ? nbd_aio_pread(client->nbd, request->buffer, bytes, offset, completion, 0)
                                    : nbd_aio_pwrite(client->nbd, from, bytes, offset, completion, 0);
  if (cookie == -1) fail_nbd();
}

static void wait_for_replies(struct client *client) {
  if (nbd_poll(client->nbd, -1) == -1) fail_nbd();
}

static void open_client(struct client *client, uint32_t depth, uint32_t pages_each) {
  client->depth = depth;
  client->idle_count = 0;
  for (uint32_t i = 0; i < depth; i++) {
    client->requests[i] = (struct request){.client = client, .buffer = allocate((size_t)pages_each * PAGE)};
    client->idle[client->idle_count++] = &client->requests[i];
  }
  client->nbd = nbd_create();
  if (!client->nbd) fail_nbd();
  if (nbd_connect_unix(client->nbd, socket_path) == -1) fail_nbd();
  if (nbd_get_size(client->nbd) < (int64_t)image_pages * PAGE) fail("the export is smaller than the image");
}

static void close_client(struct client *client) {
  if (nbd_shutdown(client->nbd, 0) == -1) fail_nbd();
  nbd_close(client->nbd);
  for (uint32_t i = 0; i < client->depth; i++) free(client->requests[i].buffer);
}

/* The whole image from its start to its end, written or read. */
static void whole(int is_read) {
  static struct client client;
  client.verify = is_read;
  open_client(&client, LONG_DEPTH, LONG);
  for (uint32_t page = 0; page < image_pages || client.idle_count < LONG_DEPTH;) {
    while (client.idle_count > 0 && page < image_pages) {
      struct request *request = client.idle[--client.idle_count];
      request->page = page;
      request->count = image_pages - page < LONG ? image_pages - page : LONG;
      request->is_read = is_read;
      for (uint32_t i = 0; !is_read && i < request->count; i++)
        memcpy(request->buffer + (size_t)i * PAGE, content(page + i), PAGE);
      page += request->count;
      submit(&client, request, request->buffer);
    }
    if (client.idle_count < LONG_DEPTH) wait_for_replies(&client);
  }
  close_client(&client);
}

/* A page of this client's that no request is under way for. */
static uint32_t free_page(struct client *client) {
  for (;;) {
    uint32_t page = below(&client->random, image_pages / client->clients) * client->clients + client->index;
    if (!busy[page]) return page;
  }
}

static void *work(void *argument) {
  struct client *client = argument;
  pthread_barrier_wait(client->barrier);
  client->start_ns = now_ns();
  uint64_t deadline = client->start_ns + client->ms * 1000000u;
  int going = 1;
  while (going || client->idle_count < client->depth) {
    going = going && now_ns() < deadline;
    while (going && client->idle_count > 0) {
      struct request *request = client->idle[--client->idle_count];
      request->page = free_page(client);
      request->count = 1;
      request->is_read = below(&client->random, 2) == 0;
      client->operations++;
      if (request->is_read) {
        submit(client, request, NULL);
      } else {
        held[request->page] = below(&client->random, distinct);
        submit(client, request, content(request->page));
      }
    }
    if (client->idle_count < client->depth) wait_for_replies(client);
  }
  client->end_ns = now_ns();
  return NULL;
}

static void load(uint32_t clients, uint32_t depth, uint64_t ms, int verify) {
  static struct client all[CLIENTS_MAX];
  /* Another sequence for each load. */
  static uint32_t seed = LAYOUT_SEED;
  if (clients < 1 || clients > CLIENTS_MAX || depth < 1 || depth > DEPTH_MAX) fail("too many clients or requests");
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, clients);
  for (uint32_t i = 0; i < clients; i++) {
    struct client *client = &all[i];
    *client = (struct client){.barrier = &barrier, .index = i, .clients = clients, .ms = ms, .verify = verify};
    client->random = seed += 0x9e3779b9u;
    if (client->random == 0) client->random = seed = 1;
    open_client(client, depth, 1);
  }
  for (uint32_t i = 0; i < clients; i++)
    if (pthread_create(&all[i].thread, NULL, work, &all[i]) != 0) fail("no thread");
  uint64_t start = UINT64_MAX, end = 0, operations = 0;
  for (uint32_t i = 0; i < clients; i++) {
    struct client *client = &all[i];
    pthread_join(client->thread, NULL);
    if (client->start_ns < start) start = client->start_ns;
    if (client->end_ns > end) end = client->end_ns;
    operations += client->operations;
    close_client(client);
  }
  pthread_barrier_destroy(&barrier);
  double seconds = (double)(end - start) / 1e9;
  printf("{\"iops\":%.0f,\"operations\":%llu}\n", (double)operations / seconds, (unsigned long long)operations);
}

static void write_image(const char *path) {
  FILE *file = fopen(path, "wb");
  if (!file) fail("cannot make the image's file");
  for (uint32_t page = 0; page < image_pages; page++)
    if (fwrite(content(page), PAGE, 1, file) != 1) fail("cannot write the image's file");
  if (fclose(file) != 0) fail("cannot write the image's file");
}

static void lay_out(void) {
  uint32_t random = LAYOUT_SEED;
  for (uint32_t page = 0, next = 0; page < image_pages; page++) {
    if (page % RUN == 0) next = below(&random, distinct);
    held[page] = next;
    next = (next + 1) % distinct;
  }
}

int main(int argc, char **argv) {
  if (argc != 4) fail("usage: nbd-load <unix socket> <pages file> <image MiB>");
  socket_path = argv[1];
  FILE *file = fopen(argv[2], "rb");
  if (!file) fail("cannot open the pages file");
  fseek(file, 0, SEEK_END);
  distinct = (uint32_t)(ftell(file) / PAGE);
  rewind(file);
  if (distinct == 0) fail("the pages file holds no page");
  pages = allocate((size_t)distinct * PAGE);
  if (fread(pages, PAGE, distinct, file) != distinct) fail("cannot read the pages file");
  fclose(file);
  image_pages = (uint32_t)((strtoull(argv[3], NULL, 10) << 20) / PAGE);
  if (image_pages < DEPTH_MAX * CLIENTS_MAX * 2) fail("the image is too small");
  held = allocate((size_t)image_pages * sizeof *held);
  busy = allocate(image_pages);
  lay_out();

  char line[LINE_BYTES], path[LINE_BYTES];
  while (fgets(line, sizeof line, stdin)) {
    unsigned clients, depth, ms, verify;
    if (sscanf(line, "image %[^\n]", path) == 1) {
      write_image(path);
      printf("{}\n");
    } else if (strcmp(line, "fill\n") == 0 || strcmp(line, "check\n") == 0) {
      whole(line[0] == 'c');
      printf("{}\n");
    } else if (sscanf(line, "load %u %u %u %u", &clients, &depth, &ms, &verify) == 4) {
      load(clients, depth, ms, verify != 0);
    } else {
      fail("unknown task");
    }
    fflush(stdout);
  }
  return 0;
}
