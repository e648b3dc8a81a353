/* SPDX-License-Identifier: ISC */
#ifndef FIFE_KEYD_KEYS_H
#define FIFE_KEYD_KEYS_H

/*
 * The private keys, by number. A configuration round collects a second set,
 * which replaces the first as a whole.
 */

#include <stddef.h>
#include <stdint.h>

struct evp_pkey_st;

#define KEYS_MAX 256

/* Memory that is not swapped, for the secret numbers. Once, before any key. */
void keys_init(void);
/* A new round begins: forget what an unfinished one has collected. */
void keys_round(void);
/* Reads the key in PEM from fd (closed here). 0 or -1 (logged). */
int keys_add(int fd, uint32_t number);
/* The round has ended: its keys are the keys. */
void keys_switch(void);
/* Borrowed until the next keys_switch(); NULL: no such number. */
struct evp_pkey_st *keys_find(uint32_t number);
size_t keys_count(void);
/* Wipe all. */
void keys_clear(void);

#endif
