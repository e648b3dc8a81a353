/* SPDX-License-Identifier: ISC */
/*
 * fife.conf: tokens to the tree. The walk over sections and statements and the
 * values of settings; the sections themselves are in the files beside this.
 */
#include "common/conf/conf_int.h"

#include <arpa/inet.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "common/compat/compat.h"

const struct conf_section *const conf_sections[] = { &conf_section_smtp,
	&conf_section_gate, &conf_section_queue, &conf_section_resolver,
	&conf_section_delivery, &conf_section_filter, &conf_section_mailbox,
	&conf_section_imap, &conf_section_pop3, &conf_section_managesieve,
	&conf_section_sieve, &conf_section_directory, &conf_section_limits,
	&conf_section_watch, &conf_section_log, NULL };

int
conf_error(struct conf_parser *p, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (p->failed)
		return -1;
	p->failed = 1;
	n = snprintf(p->err, p->cap, "%s:%u: ", p->path, p->lex.line);
	if (n < 0 || (size_t)n >= p->cap)
		return -1;
	va_start(ap, fmt);
	vsnprintf(p->err + n, p->cap - (size_t)n, fmt, ap);
	va_end(ap);
	return -1;
}

int
conf_unexpected(struct conf_parser *p, const char *expected)
{
	switch (p->lex.token) {
	case TOK_EOF:
		return conf_error(p, "end of the file, expected %s", expected);
	case TOK_EOL:
		p->lex.line =
		    p->lex.next_line > p->lex.line ? p->lex.next_line - 1 : p->lex.line;
		return conf_error(p, "end of the line, expected %s", expected);
	case TOK_OPEN:
		return conf_error(p, "unexpected \"{\", expected %s", expected);
	case TOK_CLOSE:
		return conf_error(p, "unexpected \"}\", expected %s", expected);
	case TOK_COMMA:
		return conf_error(p, "unexpected \",\", expected %s", expected);
	case TOK_BAD:
		return conf_error(p, "%s, expected %s", p->lex.text, expected);
	case TOK_WORD:
	case TOK_STRING:
		break;
	}
	return conf_error(p, "unexpected \"%.100s\", expected %s", p->lex.text, expected);
}

int
conf_advance(struct conf_parser *p)
{
	if (conf_lex_next(&p->lex) == TOK_BAD)
		return conf_error(
		    p, "%s, expected words, numbers and text in quotes", p->lex.text);
	return 0;
}

int
conf_skip_eol(struct conf_parser *p)
{
	while (p->lex.token == TOK_EOL)
		if (conf_advance(p) == -1)
			return -1;
	return 0;
}

int
conf_accept(struct conf_parser *p, const char *word)
{
	if (p->lex.token != TOK_WORD || strcmp(p->lex.text, word) != 0)
		return 0;
	return conf_advance(p) == -1 ? -1 : 1;
}

int
conf_expect(struct conf_parser *p, const char *word)
{
	char quoted[64];

	switch (conf_accept(p, word)) {
	case 1:
		return 0;
	case 0:
		snprintf(quoted, sizeof(quoted), "\"%s\"", word);
		return conf_unexpected(p, quoted);
	}
	return -1;
}

int
conf_get_text(struct conf_parser *p, const char *what, char *buf, size_t cap)
{
	if (p->lex.token != TOK_WORD && p->lex.token != TOK_STRING)
		return conf_unexpected(p, what);
	if (strlcpy(buf, p->lex.text, cap) >= cap)
		return conf_error(p,
		    "\"%.40s...\" is too long, expected at most %zu characters", buf,
		    cap - 1);
	return conf_advance(p);
}

int
conf_get_u64(
    struct conf_parser *p, const char *what, uint64_t min, uint64_t max, uint64_t *value)
{
	if (p->lex.token != TOK_WORD || conf_unit_number(p->lex.text, value) == -1)
		return conf_unexpected(p, what);
	if (*value < min || *value > max)
		return conf_error(p, "%s is out of range, expected %s from %llu to %llu",
		    p->lex.text, what, (unsigned long long)min, (unsigned long long)max);
	return conf_advance(p);
}

int
conf_get_port(struct conf_parser *p, uint16_t *port)
{
	uint64_t v;

	if (conf_get_u64(p, "a port number", 1, 65535, &v) == -1)
		return -1;
	*port = (uint16_t)v;
	return 0;
}

int
conf_get_choice(struct conf_parser *p, const char *what,
    const struct conf_choice *choices, uint8_t *value)
{
	char list[400] = "";

	for (const struct conf_choice *c = choices; c->word != NULL; c++) {
		if (p->lex.token == TOK_WORD && strcmp(p->lex.text, c->word) == 0) {
			*value = c->value;
			return conf_advance(p);
		}
		if (c != choices)
			strlcat(list, c[1].word == NULL ? " or " : ", ", sizeof(list));
		strlcat(list, c->word, sizeof(list));
	}
	(void)what;
	return conf_unexpected(p, list);
}

static const struct conf_choice yes_no[] = { { "yes", 1 }, { "no", 0 }, { NULL, 0 } };

/* The number that a word gives for a setting, in the unit of the field. */
static int
number(const struct conf_setting *s, const char *word, uint64_t *value)
{
	uint64_t unit;

	switch (s->type) {
	case CONF_COUNT:
	case CONF_PORT:
		return conf_unit_number(word, value);
	case CONF_SIZE:
	case CONF_SIZE32:
		return conf_unit_size(word, value);
	case CONF_LIMIT:
	case CONF_LIMIT_SIZE:
		if (strcmp(word, "unlimited") == 0) {
			*value = UINT64_MAX;
			return 0;
		}
		return s->type == CONF_LIMIT ? conf_unit_number(word, value)
					     : conf_unit_size(word, value);
	default:
		break;
	}
	if (conf_unit_ms(word, value) == -1)
		return -1;
	unit = s->type == CONF_DAYS ? 86400000 : s->type == CONF_TIME ? 1000 : 1;
	if (*value % unit != 0)
		return -1;
	*value /= unit;
	return 0;
}

static const char *
number_expected(enum conf_type type)
{
	switch (type) {
	case CONF_SIZE:
	case CONF_SIZE32:
		return "a size such as 512k, 50m or 1g";
	case CONF_LIMIT:
		return "a number or unlimited";
	case CONF_LIMIT_SIZE:
		return "a size such as 512k, 50m or 1g, or unlimited";
	case CONF_TIME:
		return "a time such as 30s, 5m, 2h or 1d";
	case CONF_MS:
		return "a time such as 500ms, 30s or 5m";
	case CONF_DAYS:
		return "a number of days such as 30d";
	case CONF_PORT:
		return "a port number";
	default:
		return "a number";
	}
}

static void
number_print(const struct conf_setting *s, uint64_t value, char *buf, size_t cap)
{
	switch (s->type) {
	case CONF_SIZE:
	case CONF_SIZE32:
		conf_unit_print_size(value, buf, cap);
		break;
	case CONF_LIMIT:
	case CONF_LIMIT_SIZE:
		if (value == UINT64_MAX)
			strlcpy(buf, "unlimited", cap);
		else if (s->type == CONF_LIMIT_SIZE)
			conf_unit_print_size(value, buf, cap);
		else
			snprintf(buf, cap, "%llu", (unsigned long long)value);
		break;
	case CONF_TIME:
		conf_unit_print_ms(value * 1000, buf, cap);
		break;
	case CONF_MS:
		conf_unit_print_ms(value, buf, cap);
		break;
	case CONF_DAYS:
		snprintf(buf, cap, "%llud", (unsigned long long)value);
		break;
	default:
		snprintf(buf, cap, "%llu", (unsigned long long)value);
		break;
	}
}

static void
number_put(const struct conf_setting *s, void *at, uint64_t value)
{
	switch (s->type) {
	case CONF_SIZE:
	case CONF_LIMIT:
	case CONF_LIMIT_SIZE:
		*(uint64_t *)at = value;
		break;
	case CONF_PORT:
		*(uint16_t *)at = (uint16_t)value;
		break;
	case CONF_YES:
	case CONF_CHOICE:
		*(uint8_t *)at = (uint8_t)value;
		break;
	default:
		*(uint32_t *)at = (uint32_t)value;
		break;
	}
}

static uint64_t
number_of(const struct conf_setting *s, const void *at)
{
	switch (s->type) {
	case CONF_SIZE:
	case CONF_LIMIT:
	case CONF_LIMIT_SIZE:
		return *(const uint64_t *)at;
	case CONF_PORT:
		return *(const uint16_t *)at;
	case CONF_YES:
	case CONF_CHOICE:
		return *(const uint8_t *)at;
	default:
		return *(const uint32_t *)at;
	}
}

static int
get_number(struct conf_parser *p, const struct conf_setting *s, void *at)
{
	uint64_t value;
	char low[32], high[32];

	if (p->lex.token != TOK_WORD || number(s, p->lex.text, &value) == -1)
		return conf_unexpected(p, number_expected(s->type));
	if ((value < s->min || value > s->max) &&
	    ((s->type != CONF_LIMIT && s->type != CONF_LIMIT_SIZE) ||
		value != UINT64_MAX)) {
		number_print(s, s->min, low, sizeof(low));
		number_print(s, s->max, high, sizeof(high));
		return conf_error(p, "%s %s is out of range, expected %s to %s", s->word,
		    p->lex.text, low, high);
	}
	number_put(s, at, value);
	return conf_advance(p);
}

static int
is_ip(int af, const char *s)
{
	unsigned char a[16];

	return inet_pton(af, s, a) == 1;
}

int
conf_get_setting(struct conf_parser *p, const struct conf_setting *s, void *base)
{
	void *at = (char *)base + s->offset;
	const char *text = p->lex.text;

	switch (s->type) {
	case CONF_YES:
		return conf_get_choice(p, s->word, yes_no, at);
	case CONF_CHOICE:
		return conf_get_choice(p, s->word, s->choices, at);
	case CONF_TEXT:
		return conf_get_text(p, "text", at, s->room);
	case CONF_PATH:
		if ((p->lex.token == TOK_WORD || p->lex.token == TOK_STRING) &&
		    *text == '\0')
			return conf_error(p, "%s is empty, expected a path", s->word);
		return conf_get_text(p, "a path", at, s->room);
	case CONF_HOST:
		if ((p->lex.token != TOK_WORD && p->lex.token != TOK_STRING) ||
		    !conf_is_host(text))
			return conf_unexpected(p, "a domain name");
		return conf_get_text(p, "a domain name", at, s->room);
	case CONF_MAIL:
		if ((p->lex.token != TOK_WORD && p->lex.token != TOK_STRING) ||
		    !conf_is_mail(text))
			return conf_unexpected(p, "an address such as alice@example.org");
		return conf_get_text(p, "an address", at, s->room);
	case CONF_IP4:
		if (p->lex.token != TOK_WORD || !is_ip(AF_INET, text))
			return conf_unexpected(p, "an IPv4 address");
		return conf_get_text(p, "an address", at, s->room);
	case CONF_IP6:
		if (p->lex.token != TOK_WORD || !is_ip(AF_INET6, text))
			return conf_unexpected(p, "an IPv6 address");
		return conf_get_text(p, "an address", at, s->room);
	default:
		return get_number(p, s, at);
	}
}

static int
once(struct conf_parser *p, const struct conf_setting *s)
{
	for (size_t i = 0; i < p->n_seen; i++)
		if (p->seen[i] == s)
			return conf_error(p,
			    "%s is given twice, expected it once (line %u)", s->word,
			    p->seen_line[i]);
	if (p->n_seen < CONF_SEEN_MAX) {
		p->seen[p->n_seen] = s;
		p->seen_line[p->n_seen++] = p->lex.line;
	}
	return 0;
}

static void
list_add(char *list, size_t cap, const char *word)
{
	if (list[0] != '\0')
		strlcat(list, ", ", cap);
	strlcat(list, word, cap);
}

static int
unknown_word(struct conf_parser *p, const struct conf_section *section,
    const struct conf_section *const *sub)
{
	char list[700] = "";

	for (const struct conf_setting *s = section->settings;
	     s != NULL && s->word != NULL; s++)
		list_add(list, sizeof(list), s->word);
	for (const struct conf_special *s = section->specials;
	     s != NULL && s->word != NULL; s++)
		list_add(list, sizeof(list), s->word);
	for (; sub != NULL && *sub != NULL; sub++)
		list_add(list, sizeof(list), (*sub)->word);
	if (p->lex.token != TOK_WORD)
		return conf_unexpected(p, list);
	return conf_error(p, "unknown word \"%.60s\", expected %s", p->lex.text, list);
}

int
conf_get_statement(struct conf_parser *p, const struct conf_section *section,
    const struct conf_section *const *sub, void *base)
{
	if (p->lex.token != TOK_WORD)
		return unknown_word(p, section, sub);
	for (const struct conf_setting *s = section->settings;
	     s != NULL && s->word != NULL; s++) {
		if (strcmp(s->word, p->lex.text) != 0)
			continue;
		/* These blocks are there several times: their bases differ. */
		if (section != &conf_section_tls && section != &conf_section_class &&
		    section != &conf_section_command &&
		    section != &conf_section_maildir && once(p, s) == -1)
			return -1;
		if (conf_advance(p) == -1)
			return -1;
		return conf_get_setting(p, s, base);
	}
	for (const struct conf_special *s = section->specials;
	     s != NULL && s->word != NULL; s++) {
		if (strcmp(s->word, p->lex.text) != 0)
			continue;
		if (conf_advance(p) == -1)
			return -1;
		return s->parse(p, base);
	}
	for (const struct conf_section *const *s = sub; s != NULL && *s != NULL; s++) {
		if (strcmp((*s)->word, p->lex.text) != 0)
			continue;
		if (conf_advance(p) == -1)
			return -1;
		return conf_get_block(p, *s, (char *)p->conf + (*s)->offset);
	}
	return unknown_word(p, section, sub);
}

int
conf_get_block(struct conf_parser *p, const struct conf_section *section, void *base)
{
	if (p->lex.token != TOK_OPEN)
		return conf_unexpected(p, "\"{\"");
	if (conf_advance(p) == -1 || conf_skip_eol(p) == -1)
		return -1;
	while (p->lex.token != TOK_CLOSE) {
		if (p->lex.token == TOK_EOF)
			return conf_unexpected(p, "\"}\"");
		if (conf_get_statement(p, section, NULL, base) == -1 ||
		    conf_skip_eol(p) == -1)
			return -1;
	}
	return conf_advance(p);
}

/* A default is written as in the file and read by the same code. */
int
conf_set_defaults(const struct conf_setting *s, void *base)
{
	char err[160];
	struct conf_parser *p;
	int r = 0;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return -1;
	p->path = "default";
	p->err = err;
	p->cap = sizeof(err);
	for (; s != NULL && s->word != NULL && r == 0; s++) {
		if (s->initial == NULL)
			continue;
		conf_lex_init(&p->lex, s->initial, strlen(s->initial));
		if (conf_advance(p) == -1 || conf_get_setting(p, s, base) == -1)
			r = -1;
	}
	free(p);
	return r;
}

void
conf_print_settings(const struct conf_setting *s, const void *base, FILE *f, int indent)
{
	char buf[64];
	const void *at;

	for (; s != NULL && s->word != NULL; s++) {
		at = (const char *)base + s->offset;
		switch (s->type) {
		case CONF_TEXT:
		case CONF_HOST:
		case CONF_PATH:
		case CONF_MAIL:
		case CONF_IP4:
		case CONF_IP6:
			if (*(const char *)at == '\0')
				continue; /* not set */
			break;
		case CONF_LIMIT:
		case CONF_LIMIT_SIZE:
			if (*(const uint64_t *)at == 0)
				continue; /* as built in */
			break;
		default:
			break;
		}
		fprintf(f, "%*s%s ", indent, "", s->word);
		switch (s->type) {
		case CONF_TEXT:
		case CONF_PATH:
			conf_print_quoted(f, at);
			break;
		case CONF_HOST:
		case CONF_MAIL:
		case CONF_IP4:
		case CONF_IP6:
			fputs(at, f);
			break;
		case CONF_YES:
			fputs(*(const uint8_t *)at ? "yes" : "no", f);
			break;
		case CONF_CHOICE:
			for (const struct conf_choice *c = s->choices; c->word != NULL;
			     c++)
				if (c->value == *(const uint8_t *)at)
					fputs(c->word, f);
			break;
		default:
			number_print(s, number_of(s, at), buf, sizeof(buf));
			fputs(buf, f);
			break;
		}
		fputc('\n', f);
	}
}

void *
conf_grow(void *array_pointer, size_t *n, size_t size)
{
	void **array = array_pointer, *p;

	if ((p = reallocarray(*array, *n + 1, size)) == NULL)
		return NULL;
	*array = p;
	p = (char *)p + *n * size;
	memset(p, 0, size);
	(*n)++;
	return p;
}

static int
set_all_defaults(struct conf *c)
{
	if (conf_set_defaults(conf_section_host.settings, c) == -1)
		return -1;
	for (const struct conf_section *const *s = conf_sections; *s != NULL; s++)
		if (conf_set_defaults((*s)->settings, (char *)c + (*s)->offset) == -1)
			return -1;
	strlcpy(c->queue.retry, "1m 5m 15m 30m 1h 2h 4h", sizeof(c->queue.retry));
	c->uid_first = 52000;
	c->uid_last = 60999;
	return 0;
}

struct conf *
conf_parse(const char *path, const char *text, size_t len, char *err, size_t cap)
{
	struct conf_parser *p = NULL;
	struct conf *c = NULL;

	snprintf(err, cap, "%s: no memory", path);
	if ((p = calloc(1, sizeof(*p))) == NULL || (c = calloc(1, sizeof(*c))) == NULL)
		goto fail;
	if (strlcpy(c->file, path, sizeof(c->file)) >= sizeof(c->file)) {
		snprintf(err, cap, "%.60s...: path too long", path);
		goto fail;
	}
	if (set_all_defaults(c) == -1)
		goto fail;
	p->conf = c;
	p->path = path;
	p->err = err;
	p->cap = cap;
	conf_lex_init(&p->lex, text, len);
	if (conf_advance(p) == -1 || conf_skip_eol(p) == -1)
		goto fail;
	while (p->lex.token != TOK_EOF)
		if (conf_get_statement(p, &conf_section_host, conf_sections, c) == -1 ||
		    conf_skip_eol(p) == -1)
			goto fail;
	if (conf_check(c, err, cap) == -1)
		goto fail;
	free(p);
	err[0] = '\0';
	return c;
fail:
	free(p);
	conf_free(c);
	return NULL;
}

/* The whole file; NULL with err. */
static char *
read_file(const char *path, size_t *lenp, char *err, size_t cap)
{
	struct stat st;
	char *text = NULL;
	size_t len = 0;
	ssize_t n;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1 ||
	    fstat(fd, &st) == -1) {
		snprintf(err, cap, "%s: %s", path, strerror(errno));
		goto fail;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > CONF_FILE_MAX) {
		snprintf(err, cap, "%s: expected a file of at most 1 MB", path);
		goto fail;
	}
	if ((text = malloc((size_t)st.st_size + 1)) == NULL) {
		snprintf(err, cap, "%s: no memory", path);
		goto fail;
	}
	while (len < (size_t)st.st_size) {
		n = read(fd, text + len, (size_t)st.st_size - len);
		if (n == -1) {
			snprintf(err, cap, "%s: %s", path, strerror(errno));
			goto fail;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	*lenp = len;
	return text;
fail:
	free(text);
	if (fd != -1)
		close(fd);
	return NULL;
}

struct conf *
conf_load(const char *path, char *err, size_t cap)
{
	struct conf *c;
	char *text;
	size_t len;

	if ((text = read_file(path, &len, err, cap)) == NULL)
		return NULL;
	c = conf_parse(path, text, len, err, cap);
	free(text);
	return c;
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	free(c->listeners);
	free(c->tls);
	free(c->stubs);
	free(c->sockets);
	free(c->classes);
	free(c->rules);
	free(c->commands);
	free(c);
}

int
conf_find_state(const char *path, char *buf, size_t cap)
{
	struct conf *c;
	struct conf_lex l;
	char err[64], *text = NULL;
	size_t len;
	int depth = 0, at_start = 1, r = -1;

	if ((c = calloc(1, sizeof(*c))) == NULL ||
	    strlcpy(c->file, path, sizeof(c->file)) >= sizeof(c->file) ||
	    (text = read_file(path, &len, err, sizeof(err))) == NULL)
		goto done;
	conf_lex_init(&l, text, len);
	while (conf_lex_next(&l) != TOK_EOF) {
		if (at_start && depth == 0 && l.token == TOK_WORD &&
		    strcmp(l.text, "state") == 0 &&
		    (conf_lex_next(&l) == TOK_STRING || l.token == TOK_WORD)) {
			r = conf_path(c, l.text, buf, cap);
			break;
		}
		depth += (l.token == TOK_OPEN) - (l.token == TOK_CLOSE);
		at_start = l.token == TOK_EOL || l.token == TOK_CLOSE;
		/* A malformed token may not have been consumed whole. */
		if (l.token == TOK_BAD && l.p < l.end && *l.p != '\n')
			l.p++;
	}
done:
	free(text);
	free(c);
	return r;
}
