/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_REPLIES_H
#define FIFE_MAILBOX_REPLIES_H

/*
 * What scripts remember: to whom vacation has replied (RFC 5230, 4.2), and which
 * messages came before (RFC 7352). In the file index/replies, with an expiry each, and a
 * bound at which those that expire first go. An entry that the same delivery made
 * does not count: that delivery is tried again, and its effects were not taken.
 */

#include <stdbool.h>
#include <stdint.h>

#include "mailbox/store.h"

#define REPLIES_MAX 20000

bool replies_has(
    struct store *, const uint8_t key[32], int64_t now, const struct delivery *);
/* Not synced by itself; mboxd syncs the batch of deliveries. */
void replies_add(struct store *, const uint8_t key[32], int64_t now, uint32_t seconds,
    const struct delivery *);
/* Frees what is kept in memory. */
void replies_forget(void);

#endif
