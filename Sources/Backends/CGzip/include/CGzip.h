// gzip over ISA-L where its header is installed, else over zlib. C because both libraries describe
// their streams by macros and structures of several hundred kilobytes that Swift should not copy.

#pragma once

#include <stddef.h>
#include <stdint.h>

/// Buffers of one compressor and one decompressor; for one thread at a time.
typedef struct joblet_gzip joblet_gzip;

/// The input is not one whole gzip member, or its checksum does not match.
#define JOBLET_GZIP_DAMAGED (-1)
/// The output does not fit.
#define JOBLET_GZIP_NO_ROOM (-2)
/// Memory is exhausted.
#define JOBLET_GZIP_NO_MEMORY (-3)

/// Makes a context; its buffers are allocated by the first call that needs them. NULL without memory.
joblet_gzip *_Nullable joblet_gzip_create(void);

/// Frees a context.
void joblet_gzip_destroy(joblet_gzip *_Nonnull context);

/// An output size that is enough for one member of `length` bytes.
size_t joblet_gzip_bound(size_t length);

/// Compresses `length` bytes into one member; returns its length or a negative code from above.
int64_t joblet_gzip_compress(
    joblet_gzip *_Nonnull context, const void *_Nullable source, size_t length,
    void *_Nonnull target, size_t capacity);

/// Inflates exactly one member that fills `length` bytes; returns the length of the text or a negative
/// code from above. The member's CRC-32 and length are checked.
int64_t joblet_gzip_inflate(
    joblet_gzip *_Nonnull context, const void *_Nonnull source, size_t length,
    void *_Nonnull target, size_t capacity);

/// The CRC-32 of gzip (polynomial 0xEDB88320, reflected) over `length` bytes; `crc` is 0 to begin, or
/// the value of the bytes before.
uint32_t joblet_crc32(uint32_t crc, const void *_Nullable bytes, size_t length);

/// How many bytes of value `byte` there are; in C because the compiler turns the loop into vector code.
size_t joblet_count_byte(uint8_t byte, const void *_Nullable bytes, size_t length);

/// Inflates members piece by piece, of any length and origin; for one thread at a time.
typedef struct joblet_gunzip joblet_gunzip;

/// More input or more room is needed.
#define JOBLET_GUNZIP_MORE 0
/// A member ended, and its checksum and length are right.
#define JOBLET_GUNZIP_MEMBER_END 1

/// Makes a context at the beginning of a member. NULL without memory.
joblet_gunzip *_Nullable joblet_gunzip_create(void);

/// Frees a context.
void joblet_gunzip_destroy(joblet_gunzip *_Nonnull context);

/// Goes to the beginning of another member: after one that ended, and after damage.
void joblet_gunzip_restart(joblet_gunzip *_Nonnull context);

/// Inflates from `source` to `target` until one of them is used up or the member ends, and says how much of both was
/// used. Returns JOBLET_GUNZIP_MORE, JOBLET_GUNZIP_MEMBER_END, JOBLET_GZIP_DAMAGED or JOBLET_GZIP_NO_MEMORY.
int joblet_gunzip_step(
    joblet_gunzip *_Nonnull context, const void *_Nonnull source, size_t length, size_t *_Nonnull consumed,
    void *_Nonnull target, size_t capacity, size_t *_Nonnull produced);
