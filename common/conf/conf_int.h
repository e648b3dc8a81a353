/* SPDX-License-Identifier: ISC */
#ifndef FIFE_CONF_INT_H
#define FIFE_CONF_INT_H

/*
 * Between the files of the configuration parser. A section is data: a table of
 * settings, each with its type, place, bounds and default, from which it is
 * parsed, defaulted and printed; what does not fit a table has a function.
 */

#include "common/conf/conf.h"

enum conf_token {
	TOK_EOF,
	TOK_EOL, /* end of line or ';' */
	TOK_WORD,
	TOK_STRING, /* was in quotes */
	TOK_OPEN,
	TOK_CLOSE,
	TOK_COMMA,
	TOK_BAD /* text says why */
};

#define CONF_TEXT_MAX 1100

struct conf_lex {
	const char *p;
	const char *end;
	unsigned int next_line;
	unsigned int line; /* of token */
	enum conf_token token;
	char text[CONF_TEXT_MAX + 1];
	size_t len;
};

void conf_lex_init(struct conf_lex *, const char *text, size_t len);
/* Reads the next token into the struct. */
enum conf_token conf_lex_next(struct conf_lex *);

enum conf_type {
	CONF_TEXT,       /* char [room] */
	CONF_HOST,       /* char [room], a domain name */
	CONF_PATH,       /* char [room] */
	CONF_MAIL,       /* char [room], local@domain */
	CONF_IP4,        /* char [room] */
	CONF_IP6,        /* char [room] */
	CONF_COUNT,      /* uint32_t */
	CONF_PORT,       /* uint16_t */
	CONF_SIZE,       /* uint64_t octets */
	CONF_SIZE32,     /* uint32_t octets */
	CONF_TIME,       /* uint32_t seconds */
	CONF_MS,         /* uint32_t milliseconds */
	CONF_DAYS,       /* uint32_t days */
	CONF_LIMIT,      /* uint64_t; unlimited: UINT64_MAX; 0: not set */
	CONF_LIMIT_SIZE, /* the same, octets */
	CONF_YES,        /* uint8_t */
	CONF_CHOICE      /* uint8_t out of choices */
};

struct conf_choice {
	const char *word; /* NULL at the end */
	uint8_t value;
};

struct conf_setting {
	const char *word; /* NULL at the end */
	enum conf_type type;
	size_t offset; /* from the section's base */
	size_t room;
	uint64_t min; /* in the unit of the field */
	uint64_t max;
	const char *initial; /* the default, as one would write it; NULL: zero */
	const struct conf_choice *choices;
};

/* Text settings take room from the member itself. */
#define CONF_AT(s, member) offsetof(struct s, member), sizeof(((struct s *)NULL)->member)

struct conf_parser;

struct conf_special {
	const char *word; /* NULL at the end */
	/* The word itself is consumed. 0 or -1 (error set). */
	int (*parse)(struct conf_parser *, void *base);
};

struct conf_section {
	const char *word;
	const struct conf_setting *settings;
	const struct conf_special *specials;
	void (*print)(const struct conf *, FILE *); /* the specials; may be NULL */
	size_t offset;                              /* of the base in struct conf */
};

#define CONF_SEEN_MAX 256

struct conf_parser {
	struct conf_lex lex;
	struct conf *conf;
	const char *path;
	char *err;
	size_t cap;
	int failed;
	/* what was given already, so that nothing is given twice */
	const struct conf_setting *seen[CONF_SEEN_MAX];
	unsigned int seen_line[CONF_SEEN_MAX];
	size_t n_seen;
};

/* All return 0, or -1 with the error set. */
/* «path:line: …»; the first error stays. Always -1. */
int conf_error(struct conf_parser *, const char *, ...)
    __attribute__((format(printf, 2, 3)));
/* The current token is not what is expected. */
int conf_unexpected(struct conf_parser *, const char *expected);
/* On to the next token; -1 for one that is malformed. */
int conf_advance(struct conf_parser *);
int conf_skip_eol(struct conf_parser *);
/* Consume that very word; 1 yes, 0 it is another, -1. */
int conf_accept(struct conf_parser *, const char *word);
int conf_expect(struct conf_parser *, const char *word);
/* Copy a word or string and go on; what names it in errors. */
int conf_get_text(struct conf_parser *, const char *what, char *buf, size_t cap);
int conf_get_u64(
    struct conf_parser *, const char *what, uint64_t min, uint64_t max, uint64_t *value);
int conf_get_port(struct conf_parser *, uint16_t *port);
int conf_get_choice(
    struct conf_parser *, const char *what, const struct conf_choice *, uint8_t *value);
/* The value of a setting into its place below base. */
int conf_get_setting(struct conf_parser *, const struct conf_setting *, void *base);
/* «{ … }» */
int conf_get_block(struct conf_parser *, const struct conf_section *, void *base);
/* One statement of a section at the current word. */
int conf_get_statement(struct conf_parser *, const struct conf_section *,
    const struct conf_section *const *subsections, void *base);

int conf_set_defaults(const struct conf_setting *, void *base);
void conf_print_settings(
    const struct conf_setting *, const void *base, FILE *, int indent);
void conf_print_quoted(FILE *, const char *);

/* conf_unit.c: 0 or -1. */
int conf_unit_number(const char *, uint64_t *);
int conf_unit_size(const char *, uint64_t *);
int conf_unit_ms(const char *, uint64_t *);
/* The shortest exact way to write it. */
void conf_unit_print_size(uint64_t, char *buf, size_t cap);
void conf_unit_print_ms(uint64_t, char *buf, size_t cap);

/* Values that are valid: 1 or 0. */
int conf_is_host(const char *);
int conf_is_mail(const char *);

/* Grow *array of n members by one cleared member; NULL: no memory. */
void *conf_grow(void *array_pointer, size_t *n, size_t size);

extern const struct conf_section conf_section_host;
extern const struct conf_section conf_section_tls;
/* The blocks that are settings of one place each; NULL at the end. */
extern const struct conf_section *const conf_sections[];
extern const struct conf_section conf_section_smtp;
extern const struct conf_section conf_section_gate;
extern const struct conf_section conf_section_queue;
/* class NAME { } within queue { } */
extern const struct conf_section conf_section_class;
int conf_class_parse(struct conf_parser *, void *);
void conf_class_print(const struct conf *, FILE *);
/* Times of retry, several words or all in quotes, as they are kept. */
int conf_get_retry(struct conf_parser *, char *buf, size_t cap);
extern const struct conf_section conf_section_resolver;
extern const struct conf_section conf_section_delivery;
extern const struct conf_section conf_section_filter;
extern const struct conf_section conf_section_mailbox;
extern const struct conf_section conf_section_imap;
extern const struct conf_section conf_section_pop3;
extern const struct conf_section conf_section_managesieve;
extern const struct conf_section conf_section_sieve;
extern const struct conf_section conf_section_directory;
extern const struct conf_section conf_section_limits;
extern const struct conf_section conf_section_watch;
extern const struct conf_section conf_section_log;

int conf_listen_parse(struct conf_parser *, void *);
void conf_listen_print(const struct conf *, FILE *);
/* command NAME { } and maildir NAME { } */
extern const struct conf_section conf_section_command;
extern const struct conf_section conf_section_maildir;
int conf_command_parse(struct conf_parser *, void *);
int conf_maildir_parse(struct conf_parser *, void *);
void conf_command_print(const struct conf *, FILE *);
int conf_tls_parse(struct conf_parser *, void *);
void conf_tls_print(const struct conf *, FILE *);
const char *conf_kind_name(uint8_t);

#endif
