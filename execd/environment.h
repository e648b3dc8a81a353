/* SPDX-License-Identifier: ISC */
#ifndef FIFE_EXECD_ENVIRONMENT_H
#define FIFE_EXECD_ENVIRONMENT_H

/* The environment of a program, as those written for Postfix and qmail expect it. */

#include <stdint.h>

#include "common/msg.h"

#define ENVIRONMENT_MAX 24 /* entries */

struct environment {
	char *v[ENVIRONMENT_MAX + 1]; /* ends with NULL */
	int n;
};

struct environment_facts {
	const struct msg_exec_run *run;
	const char *user; /* login name; "": that of the owner */
	const char *home;
};

/*
 * Of addresses just the characters that mean nothing to a shell are passed, others
 * become "_". 0 or -1: no memory.
 */
int environment_make(struct environment *, const struct environment_facts *);
void environment_clear(struct environment *);

#endif
