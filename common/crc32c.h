/* SPDX-License-Identifier: ISC */
#ifndef FIFE_CRC32C_H
#define FIFE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli; RFC 3385). Start with 0 and feed the result on. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The portable form, for machines without the instruction and for its test. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
