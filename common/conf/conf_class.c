/* SPDX-License-Identifier: ISC */
/*
 * fife.conf: queue { class NAME { } }, mail with times of its own.
 *	class bulk { from "news@*"; priority -9 -3; retry 1h 4h; expire 1d; delay-warning
 *0s }
 */
#include "common/conf/conf_int.h"

#include <string.h>

#include "common/compat/compat.h"

#define UNSET UINT32_MAX /* a time that is to be the queue's */
#define LOWEST (-9)
#define HIGHEST 9

static const struct conf_setting settings[] = {
	{ "from", CONF_TEXT, CONF_AT(msg_conf_queue_class, from), .initial = NULL },
	{ "to", CONF_TEXT, CONF_AT(msg_conf_queue_class, to), .initial = NULL },
	{ "login", CONF_TEXT, CONF_AT(msg_conf_queue_class, login), .initial = NULL },
	{ "expire", CONF_TIME, CONF_AT(msg_conf_queue_class, expire_s), 1, 30 * 86400,
	    NULL },
	{ "delay-warning", CONF_TIME, CONF_AT(msg_conf_queue_class, delay_warning_s), 0,
	    30 * 86400, NULL },
	{ NULL },
};

static int
retry(struct conf_parser *p, void *base)
{
	struct msg_conf_queue_class *c = base;

	if (c->retry[0] != '\0')
		return conf_error(p, "retry is given twice, expected it once");
	return conf_get_retry(p, c->retry, sizeof(c->retry));
}

static int
level(struct conf_parser *p, uint8_t *out)
{
	const char *s = p->lex.text;
	int negative = *s == '-';
	uint64_t n;

	if (p->lex.token != TOK_WORD || conf_unit_number(s + negative, &n) == -1 ||
	    n > HIGHEST)
		return conf_unexpected(p, "a priority from -9 to 9");
	*out = (uint8_t)(int8_t)(negative ? -(int)n : (int)n);
	return conf_advance(p);
}

/* priority LOWEST HIGHEST */
static int
priority(struct conf_parser *p, void *base)
{
	struct msg_conf_queue_class *c = base;

	if (level(p, &c->priority_min) == -1 || level(p, &c->priority_max) == -1)
		return -1;
	if ((int8_t)c->priority_min > (int8_t)c->priority_max)
		return conf_error(p, "priority %d to %d, expected the lower one first",
		    (int8_t)c->priority_min, (int8_t)c->priority_max);
	return 0;
}

static const struct conf_special specials[] = { { "retry", retry },
	{ "priority", priority }, { NULL, NULL } };

const struct conf_section conf_section_class = { "class", settings, specials, NULL, 0 };

int
conf_class_parse(struct conf_parser *p, void *base)
{
	struct conf *c = p->conf;
	struct conf_class *k;

	(void)base;
	if (c->n_classes == CONF_CLASSES_MAX)
		return conf_error(
		    p, "too many classes, expected at most %d", CONF_CLASSES_MAX);
	if ((k = conf_grow(&c->classes, &c->n_classes, sizeof(*k))) == NULL)
		return conf_error(p, "no memory, expected some");
	k->line = p->lex.line;
	k->m.expire_s = k->m.delay_warning_s = UNSET;
	k->m.priority_min = (uint8_t)(int8_t)LOWEST;
	k->m.priority_max = HIGHEST;
	if (conf_get_text(p, "the name of a class", k->m.name, sizeof(k->m.name)) == -1)
		return -1;
	if (k->m.name[0] == '\0' || strcmp(k->m.name, "default") == 0)
		return conf_error(p,
		    "class \"%s\", expected another name (the settings of queue "
		    "are the default)",
		    k->m.name);
	for (size_t i = 0; i + 1 < c->n_classes; i++)
		if (strcmp(c->classes[i].m.name, k->m.name) == 0)
			return conf_error(p,
			    "class \"%s\" is there already on line %u, expected another "
			    "name",
			    k->m.name, c->classes[i].line);
	return conf_get_block(p, &conf_section_class, &k->m);
}

static void
text_print(FILE *f, const char *word, const char *text)
{
	if (text[0] == '\0')
		return;
	fprintf(f, "        %s ", word);
	conf_print_quoted(f, text);
	fputc('\n', f);
}

void
conf_class_print(const struct conf *c, FILE *f)
{
	for (size_t i = 0; i < c->n_classes; i++) {
		const struct msg_conf_queue_class *k = &c->classes[i].m;
		char buf[64];

		fputs("    class ", f);
		conf_print_quoted(f, k->name);
		fputs(" {\n", f);
		text_print(f, "from", k->from);
		text_print(f, "to", k->to);
		text_print(f, "login", k->login);
		if ((int8_t)k->priority_min != LOWEST || k->priority_max != HIGHEST)
			fprintf(f, "        priority %d %d\n", (int8_t)k->priority_min,
			    (int8_t)k->priority_max);
		fprintf(f, "        retry %s\n", k->retry);
		conf_unit_print_ms((uint64_t)k->expire_s * 1000, buf, sizeof(buf));
		fprintf(f, "        expire %s\n", buf);
		conf_unit_print_ms((uint64_t)k->delay_warning_s * 1000, buf, sizeof(buf));
		fprintf(f, "        delay-warning %s\n    }\n", buf);
	}
}
