#include "CGzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

// zlib also where ISA-L is installed: files of others need no speed, and every gzip header is understood.
#define GZIP_WRAPPER 16

struct joblet_gunzip {
    z_stream stream;
};

joblet_gunzip *joblet_gunzip_create(void) {
    joblet_gunzip *context = calloc(1, sizeof(joblet_gunzip));
    if (context && inflateInit2(&context->stream, MAX_WBITS + GZIP_WRAPPER) != Z_OK) {
        free(context);
        return NULL;
    }
    return context;
}

void joblet_gunzip_destroy(joblet_gunzip *context) {
    inflateEnd(&context->stream);
    free(context);
}

void joblet_gunzip_restart(joblet_gunzip *context) {
    inflateReset(&context->stream);
}

int joblet_gunzip_step(
    joblet_gunzip *context, const void *source, size_t length, size_t *consumed,
    void *target, size_t capacity, size_t *produced) {
    z_stream *stream = &context->stream;
    uInt available = length > UINT_MAX ? UINT_MAX : (uInt)length;
    uInt room = capacity > UINT_MAX ? UINT_MAX : (uInt)capacity;
    stream->next_in = (Bytef *)source;
    stream->avail_in = available;
    stream->next_out = target;
    stream->avail_out = room;
    int result = inflate(stream, Z_NO_FLUSH);
    *consumed = available - stream->avail_in;
    *produced = room - stream->avail_out;
    switch (result) {
    case Z_STREAM_END: return JOBLET_GUNZIP_MEMBER_END;
    case Z_OK:
    case Z_BUF_ERROR: return JOBLET_GUNZIP_MORE;
    case Z_MEM_ERROR: return JOBLET_GZIP_NO_MEMORY;
    default: return JOBLET_GZIP_DAMAGED;
    }
}
