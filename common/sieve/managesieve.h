/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MANAGESIEVE_H
#define FIFE_MANAGESIEVE_H

/*
 * What both halves of ManageSieve (RFC 5804) read and write: sieved(8) before the login,
 * and the mailbox process after it. A command is a line of words, in which strings may be
 * quoted or literals of the form {N+}. No I/O.
 */

#include <stddef.h>
#include <stdint.h>

struct evbuffer;

#define MANAGESIEVE_ARGS_MAX 4
#define MANAGESIEVE_LINE_MAX 16384 /* octets of a command besides its literals */
#define MANAGESIEVE_REDIRECTS_MAX "4"

enum managesieve_event {
	MANAGESIEVE_MORE,    /* all was taken, the command is not complete */
	MANAGESIEVE_COMMAND, /* verb and args are there, until the next call */
	MANAGESIEVE_BAD,  /* a command is malformed: error; what follows may be right */
	MANAGESIEVE_FATAL /* it is not known where it ends, or there is no memory */
};

enum managesieve_kind {
	MANAGESIEVE_WORD,
	MANAGESIEVE_STRING,
	MANAGESIEVE_NUMBER
};

struct managesieve_arg {
	enum managesieve_kind kind;
	char *s; /* with a NUL behind it */
	size_t len;
	uint64_t number;
};

struct managesieve_reader {
	size_t literal_max; /* octets; longer ones are passed over and told */
	/* the command, when it is complete */
	char *verb; /* NULL: the line began with a string (a response of SASL) */
	struct managesieve_arg args[MANAGESIEVE_ARGS_MAX];
	size_t n_args;
	const char *error;
	/* private */
	char *buf;
	size_t len, cap;
	size_t literal;  /* octets of it that are still to come */
	size_t skip;     /* the same of one that is too long */
	size_t line_len; /* without literals */
	int too_long, done, quoted, escaped;
};

void managesieve_init(struct managesieve_reader *, size_t literal_max);
/* Wiped: it may hold a password. */
void managesieve_clear(struct managesieve_reader *);
enum managesieve_event managesieve_read(
    struct managesieve_reader *, const uint8_t *, size_t len, size_t *used);

/* The string quoted, or as a literal where it cannot be. */
void managesieve_put_string(struct evbuffer *, const char *, size_t);
/* "NO (CODE) text" and the like; code may be NULL. */
void managesieve_reply(
    struct evbuffer *, const char *what, const char *code, const char *text);
/* The lines of CAPABILITY without its OK. sasl NULL: after the login; owner: then. */
void managesieve_capabilities(
    struct evbuffer *, const char *sasl, int starttls, const char *owner);

#endif
