#include "CGzip.h"

#include <stdlib.h>
#include <string.h>

// 32-bit counters in both libraries: larger buffers are refused, no caller has them.
#define LARGEST ((size_t)1 << 30)

#if __has_include(<isa-l.h>)

#include <isa-l.h>

// Level 2: three to four times the speed of zlib's level 1 at the same size, measured on log text.
#define LEVEL 2
#define LEVEL_BUFFER ISAL_DEF_LVL2_DEFAULT

struct joblet_gzip {
    struct isal_zstream *deflater;
    uint8_t *level_buffer;
    struct inflate_state *inflater;
};

void joblet_gzip_destroy(joblet_gzip *context) {
    free(context->deflater);
    free(context->level_buffer);
    free(context->inflater);
    free(context);
}

size_t joblet_gzip_bound(size_t length) {
    // Incompressible input is stored in blocks of at most 64 KiB with 5 bytes each; the rest is room
    // for the bit buffer, the header and the trailer.
    return length + length / 4096 + 4096;
}

int64_t joblet_gzip_compress(
    joblet_gzip *context, const void *source, size_t length, void *target, size_t capacity) {
    if (length > LARGEST || capacity > 2 * LARGEST) return JOBLET_GZIP_NO_ROOM;
    if (!context->deflater) {
        context->level_buffer = malloc(LEVEL_BUFFER);
        if (!context->level_buffer) return JOBLET_GZIP_NO_MEMORY;
        context->deflater = malloc(sizeof(struct isal_zstream));
        if (!context->deflater) {
            free(context->level_buffer);
            context->level_buffer = NULL;
            return JOBLET_GZIP_NO_MEMORY;
        }
    }
    struct isal_zstream *stream = context->deflater;
    isal_deflate_init(stream);
    stream->level = LEVEL;
    stream->level_buf = context->level_buffer;
    stream->level_buf_size = LEVEL_BUFFER;
    stream->gzip_flag = IGZIP_GZIP;
    stream->end_of_stream = 1;
    stream->flush = NO_FLUSH;
    stream->next_in = (uint8_t *)source;
    stream->avail_in = (uint32_t)length;
    stream->next_out = target;
    stream->avail_out = (uint32_t)capacity;
    while (stream->internal_state.state != ZSTATE_END) {
        if (stream->avail_out == 0) return JOBLET_GZIP_NO_ROOM;
        if (isal_deflate(stream) != COMP_OK) return JOBLET_GZIP_NO_ROOM;
    }
    return (int64_t)stream->total_out;
}

int64_t joblet_gzip_inflate(
    joblet_gzip *context, const void *source, size_t length, void *target, size_t capacity) {
    if (length > 2 * LARGEST || capacity > LARGEST) return JOBLET_GZIP_NO_ROOM;
    if (!context->inflater) {
        context->inflater = malloc(sizeof(struct inflate_state));
        if (!context->inflater) return JOBLET_GZIP_NO_MEMORY;
    }
    struct inflate_state *state = context->inflater;
    isal_inflate_init(state);
    state->crc_flag = ISAL_GZIP;
    state->next_in = (uint8_t *)source;
    state->avail_in = (uint32_t)length;
    state->next_out = target;
    state->avail_out = (uint32_t)capacity;
    int result = isal_inflate_stateless(state);
    if (result == ISAL_OUT_OVERFLOW) return JOBLET_GZIP_NO_ROOM;
    if (result != ISAL_DECOMP_OK || state->block_state != ISAL_BLOCK_FINISH || state->avail_in != 0) {
        return JOBLET_GZIP_DAMAGED;
    }
    return (int64_t)state->total_out;
}

uint32_t joblet_crc32(uint32_t crc, const void *bytes, size_t length) {
    return crc32_gzip_refl(crc, bytes, length);
}

#else

#include <zlib.h>

#define LEVEL 1
#define GZIP_WRAPPER 16

struct joblet_gzip {
    z_stream deflater;
    z_stream inflater;
    int has_deflater;
    int has_inflater;
};

void joblet_gzip_destroy(joblet_gzip *context) {
    if (context->has_deflater) deflateEnd(&context->deflater);
    if (context->has_inflater) inflateEnd(&context->inflater);
    free(context);
}

size_t joblet_gzip_bound(size_t length) {
    // compressBound() with a gzip wrapper in place of zlib's.
    return compressBound(length) + 18;
}

int64_t joblet_gzip_compress(
    joblet_gzip *context, const void *source, size_t length, void *target, size_t capacity) {
    if (length > LARGEST || capacity > 2 * LARGEST) return JOBLET_GZIP_NO_ROOM;
    z_stream *stream = &context->deflater;
    if (!context->has_deflater) {
        int opened = deflateInit2(stream, LEVEL, Z_DEFLATED, MAX_WBITS + GZIP_WRAPPER, 8, Z_DEFAULT_STRATEGY);
        if (opened != Z_OK) return JOBLET_GZIP_NO_MEMORY;
        context->has_deflater = 1;
    } else {
        deflateReset(stream);
    }
    stream->next_in = (Bytef *)source;
    stream->avail_in = (uInt)length;
    stream->next_out = target;
    stream->avail_out = (uInt)capacity;
    if (deflate(stream, Z_FINISH) != Z_STREAM_END) return JOBLET_GZIP_NO_ROOM;
    return (int64_t)stream->total_out;
}

int64_t joblet_gzip_inflate(
    joblet_gzip *context, const void *source, size_t length, void *target, size_t capacity) {
    if (length > 2 * LARGEST || capacity > LARGEST) return JOBLET_GZIP_NO_ROOM;
    z_stream *stream = &context->inflater;
    if (!context->has_inflater) {
        if (inflateInit2(stream, MAX_WBITS + GZIP_WRAPPER) != Z_OK) return JOBLET_GZIP_NO_MEMORY;
        context->has_inflater = 1;
    } else {
        inflateReset(stream);
    }
    stream->next_in = (Bytef *)source;
    stream->avail_in = (uInt)length;
    stream->next_out = target;
    stream->avail_out = (uInt)capacity;
    int result = inflate(stream, Z_FINISH);
    if (result == Z_STREAM_END) return stream->avail_in == 0 ? (int64_t)stream->total_out : JOBLET_GZIP_DAMAGED;
    if (result == Z_MEM_ERROR) return JOBLET_GZIP_NO_MEMORY;
    return stream->avail_out == 0 && result == Z_BUF_ERROR ? JOBLET_GZIP_NO_ROOM : JOBLET_GZIP_DAMAGED;
}

uint32_t joblet_crc32(uint32_t crc, const void *bytes, size_t length) {
    return (uint32_t)crc32_z(crc, bytes, length);
}

#endif

joblet_gzip *joblet_gzip_create(void) {
    return calloc(1, sizeof(joblet_gzip));
}

size_t joblet_count_byte(uint8_t byte, const void *bytes, size_t length) {
    const uint8_t *next = bytes;
    size_t count = 0;
    while (length > 0) {
        // A part is short enough for a count of one byte, so that the vectors need no wider lanes.
        size_t part = length < 240 ? length : 240;
        uint8_t found = 0;
        for (size_t index = 0; index < part; index++) found += next[index] == byte;
        count += found;
        next += part;
        length -= part;
    }
    return count;
}
