/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_H
#define FIFE_SIEVE_H

/*
 * Sieve (RFC 5228 and extensions, man/fife-sieve.7): a script is compiled to a
 * program, and a program run on a message gives a list of actions. There is no I/O:
 * the message is a buffer, what else a script may ask for comes by callbacks, and the
 * actions are carried out by the caller. Both steps are bounded in memory and work.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIEVE_SCRIPT_MAX (1024 * 1024) /* octets */
#define SIEVE_NAME_MAX 128             /* octets of a script's name */
#define SIEVE_ERRORS_MAX 32            /* kept; more are counted */
#define SIEVE_NESTING_MAX 32           /* blocks, and tests within tests */
#define SIEVE_INCLUDE_DEPTH_MAX 10
#define SIEVE_INCLUDES_MAX 255
#define SIEVE_VARIABLES_MAX 255     /* of a scope, RFC 5229, 3 */
#define SIEVE_VALUE_MAX (64 * 1024) /* octets of a variable */
#define SIEVE_ACTIONS_MAX 32        /* of one run */
#define SIEVE_STRINGS_MAX 65536     /* string constants of a program */
#define SIEVE_RUN_MEMORY_MAX (32u * 1024 * 1024)
#define SIEVE_PROGRAM_MEMORY_MAX (32u * 1024 * 1024)
#define SIEVE_STEPS_MAX 2000000u /* commands, tests and comparisons of one run */

/* ---- compiling ---- */

struct sieve_error {
	uint32_t line, column; /* from 1; 0: the script as a whole */
	bool warning;
	char script[SIEVE_NAME_MAX + 1];
	char text[256]; /* a sentence */
};

struct sieve_errors {
	struct sieve_error v[SIEVE_ERRORS_MAX];
	size_t kept;
	size_t n; /* errors, also those not kept; warnings do not count */
};

/* "name: line 3, column 5: text" of the first error. */
void sieve_errors_print(const struct sieve_errors *, char *out, size_t cap);

enum sieve_location {
	SIEVE_PERSONAL,
	SIEVE_GLOBAL
};

struct sieve_rule;

struct sieve_compile {
	/*
	 * The text of an included script (RFC 6609), to be free()d by the compiler.
	 * 0, 1: there is none, -1: it cannot be read now. NULL: no include.
	 */
	int (*script)(
	    enum sieve_location, const char *name, char **text, size_t *len, void *arg);
	void *arg;
	bool upload;      /* a script that is missing may still come */
	uint64_t without; /* extensions that are not offered, bits of sieve_extension.h */
	/* For tests: more commands, ended by a row without a name. */
	const struct sieve_rule *host_rules;
};

struct sieve_program;
/* NULL when there were errors. The text is not needed afterwards. The caller frees. */
struct sieve_program *sieve_compile(const char *name, const char *text, size_t len,
    const struct sieve_compile *, struct sieve_errors *);
void sieve_free(struct sieve_program *);

/* ---- running ---- */

enum sieve_spam {
	SIEVE_UNTESTED = -1
};

struct sieve_input {
	/* Fields put before the message by delivery, and the message; CRLF. */
	const char *head;
	size_t head_len;
	const char *data;
	size_t len;

	const char *envelope_from; /* "" is the null path */
	const char *envelope_to;   /* as given; with its detail */
	const char *envelope_auth; /* NULL: none */
	const char *owner;         /* the user's own address */
	const char *const
	    *aliases; /* more addresses of the user, ended by NULL, or NULL */
	const char *hostname;
	const char *remote_host, *remote_ip; /* NULL: not known */
	const char *junk_mailbox;
	char separator; /* of the detail */
	int64_t now;    /* seconds since 1970 */
	int zone_min;   /* local time zone, minutes east of UTC */
	uint64_t seed;  /* for names made up */
	double spam;    /* 0 to 1, or below 0: not tested */
	int virus;      /* 0 to 5 (RFC 5235, 3.3); 0: not tested */

	bool (*mailbox_exists)(const char *name, void *arg);
	/* Has this mailbox (NULL: any) the use, such as "\\Junk"? */
	bool (*special_use)(const char *mailbox, const char *use, void *arg);
	/* Was this key noted (RFC 7352) and has not expired? */
	bool (*duplicate)(const uint8_t key[32], void *arg);
	/* mailbox NULL: of the server. The value, to be free()d, or NULL. */
	char *(*metadata)(const char *mailbox, const char *name, void *arg);
	/* For rules of the host. 1, 0, or -1 to end the run. */
	int (*host_run)(void *run, const void *node, void *arg);
	void *arg;

	uint32_t steps_max;     /* 0: the default */
	uint32_t redirects_max; /* 0: the default */
};

enum sieve_action_kind {
	SIEVE_KEEP, /* into mailbox, which is INBOX, with flags */
	SIEVE_FILEINTO,
	SIEVE_REDIRECT, /* the message to address */
	SIEVE_REJECT,   /* text; ereject differs by code */
	SIEVE_REPLY,    /* of vacation: message to address with null sender */
	SIEVE_NOTIFY,   /* message to address */
	SIEVE_FCC       /* message into mailbox */
};

struct sieve_action {
	enum sieve_action_kind kind;
	bool implicit; /* keep by default */
	bool create;   /* the mailbox, when it is missing */
	bool ereject;  /* RFC 5429, 2.1 */
	const char *mailbox;
	const char *special_use; /* preferred to mailbox where one has it, or NULL */
	/* System flags, and keywords separated by a space; RFC 5232. */
	uint8_t flags; /* FLAG_* of store.h */
	const char *keywords;
	const char *address;
	const char *text; /* of a rejection, UTF-8 */
	/* With editheader: what stands before the body. NULL: unchanged. */
	const char *header;
	size_t header_len;
	/* A message made here. */
	const char *message;
	size_t message_len;
	const char *reverse_path; /* of redirect and message: NULL the original */
	/* SIEVE_REPLY: not again to this key within that time. */
	uint8_t key[32];
	uint32_t remember_s; /* 0: no memory */
	uint32_t line;
};

/* Keys to note once the actions are carried out (RFC 7352). */
struct sieve_mark {
	uint8_t key[32];
	uint32_t remember_s;
};

enum sieve_status {
	SIEVE_OK,
	SIEVE_FAILED /* error is set, and the only action is the keep */
};

struct sieve_result {
	enum sieve_status status;
	char error[320];
	struct sieve_action v[SIEVE_ACTIONS_MAX * 2];
	size_t n;
	struct sieve_mark marks[SIEVE_ACTIONS_MAX];
	size_t n_marks;
	size_t body_off; /* of data: where the body begins, for an edited header */
	bool cancelled;  /* no implicit keep */
	char notes[512]; /* for the log: why a reply was not sent, and such */
	void *memory;
};

/* *result is filled in any case and to be cleared. The input must live until then. */
void sieve_run(struct sieve_program *, const struct sieve_input *, struct sieve_result *);
void sieve_result_clear(struct sieve_result *);

#endif
