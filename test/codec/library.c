/*
 * The public libraries as a filter, for cross-decoding. Reads frames from standard input until its end, answers
 * each with one frame on standard output; numbers are native 32-bit words.
 *
 *   question: codec (0 LZ4, 1 LZO1X) | operation (0 compress, 1 decompress, 2 compress hardest)
 *             | expected page length | length | bytes
 *   answer:   length (0: the library refused) | bytes
 */
#include <lz4.h>
#include <lz4hc.h>
#include <lzo/lzo1x.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_BYTES 8192

/* The largest of what the functions below ask for. */
static unsigned char work_memory[LZO1X_999_MEM_COMPRESS] __attribute__((aligned(64)));

int main(void) {
  static unsigned char input[MAX_BYTES], output[MAX_BYTES];
  uint32_t header[4];
  if (lzo_init() != LZO_E_OK) return 2;
  while (fread(header, sizeof header, 1, stdin) == 1) {
    uint32_t lzo = header[0], operation = header[1], page_bytes = header[2], length = header[3];
    if (length > MAX_BYTES || page_bytes > MAX_BYTES || fread(input, 1, length, stdin) != length) return 3;
    uint32_t answer = 0;
    if (lzo) {
      lzo_uint size = operation == 1 ? page_bytes : MAX_BYTES;
      int status = operation == 0   ? lzo1x_1_compress(input, length, output, &size, work_memory)
                   : operation == 1 ? lzo1x_decompress_safe(input, length, output, &size, NULL)
                                    : lzo1x_999_compress(input, length, output, &size, work_memory);
      if (status == LZO_E_OK) answer = (uint32_t)size;
    } else {
      const char *in = (const char *)input;
      char *out = (char *)output;
      int size = operation == 0   ? LZ4_compress_default(in, out, (int)length, MAX_BYTES)
                 : operation == 1 ? LZ4_decompress_safe(in, out, (int)length, (int)page_bytes)
                                  : LZ4_compress_HC(in, out, (int)length, MAX_BYTES, LZ4HC_CLEVEL_MAX);
      if (size > 0) answer = (uint32_t)size;
    }
    fwrite(&answer, sizeof answer, 1, stdout);
    fwrite(output, 1, answer, stdout);
  }
  return ferror(stdin) || fflush(stdout) ? 4 : 0;
}
