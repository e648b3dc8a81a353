/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_CRC_H
#define FIFE_MAILBOX_CRC_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (RFC 3385), as the queue computes it over a content. Start with 0
 * and feed the result on. */
uint32_t mailbox_crc(uint32_t crc, const void *data, size_t len);

#endif
