/* SPDX-License-Identifier: ISC */
#ifndef FIFE_EXECD_CHILD_H
#define FIFE_EXECD_CHILD_H

/* The forked child: gives up root, and becomes the program, or writes the Maildir. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/msg.h"

struct child_start {
	const struct msg_conf_command *command;
	uid_t uid;
	gid_t gid;
	const char *home;
	char *const *environment;
	int input;   /* becomes standard input of a program */
	int output;  /* becomes standard output and error */
	int content; /* of the message: for a Maildir */
	uint64_t size;
	const uint8_t *prefix;
	size_t prefix_len;
};

/* After fork(2). What goes wrong is said on its output, with a status of sysexits(3). */
void child_run(const struct child_start *) __attribute__((noreturn));

/*
 * Deliver into a Maildir as the present user: tmp, sync, new. Missing directories are
 * made. An exit status; what is wrong goes to standard error. (maildir.c)
 */
int maildir_deliver(const char *path, const uint8_t *prefix, size_t prefix_len,
    int content, uint64_t size);

#endif
