/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FIFECTL_CLIENT_H
#define FIFE_FIFECTL_CLIENT_H

/* One command at one daemon: connect, say it, hand over the rows of the answer. */

#include <stddef.h>
#include <stdint.h>

#include "common/ctl.h"

struct event_base;

#define CLIENT_FIELDS_MAX 128

struct client_field {
	char key[256];
	char kind; /* 's', 'u', 'b', 't' */
	const char *str;
	size_t len;
	uint64_t num;
};

struct client_answer {
	int status; /* CTL_OK … */
	char text[1400];
};

/* Called for each row; the fields die on return. Nonzero: enough, break off. */
typedef int (*client_row_cb)(
    enum ctl_form, const struct client_field *, size_t n, void *arg);

struct client_request {
	const char *name;  /* of the control socket: "authd" */
	const char *words; /* each with its NUL */
	size_t words_len;
	const char *secret; /* or NULL */
	int fd;             /* goes along and is closed; -1: none */
	uint32_t timeout_ms;
};

/*
 * Runs to the end of the answer in the loop of base. The working directory is the
 * state directory. The result always is in *answer.
 */
void client_run(struct event_base *base, const struct client_request *, client_row_cb,
    void *arg, struct client_answer *answer);

#endif
