/* SPDX-License-Identifier: ISC */
/*
 * fife.conf: one block a certificate.
 *	tls { certificate "x.pem"; key "x.key"; names a, b; default }
 */
#include "common/conf/conf_int.h"

#include <string.h>

#include "common/compat/compat.h"

static const struct conf_setting settings[] = {
	{ "certificate", CONF_PATH, CONF_AT(conf_tls, certificate) },
	{ "key", CONF_PATH, CONF_AT(conf_tls, key) },
	{ NULL },
};

/* names NAME, …: what a client may ask for (RFC 6066, 3); *.domain is fine. */
static int
names(struct conf_parser *p, void *base)
{
	struct conf_tls *t = base;
	const char *name;

	t->names[0] = '\0';
	for (;;) {
		name = p->lex.text;
		if (p->lex.token != TOK_WORD && p->lex.token != TOK_STRING)
			return conf_unexpected(p, "a domain name");
		if (!conf_is_host(strncmp(name, "*.", 2) == 0 ? name + 2 : name))
			return conf_unexpected(p, "a domain name");
		if (t->names[0] != '\0')
			strlcat(t->names, ",", sizeof(t->names));
		if (strlcat(t->names, name, sizeof(t->names)) >= sizeof(t->names))
			return conf_error(
			    p, "too many names, expected at most 1023 characters");
		if (conf_advance(p) == -1)
			return -1;
		if (p->lex.token != TOK_COMMA)
			return 0;
		if (conf_advance(p) == -1)
			return -1;
	}
}

static int
is_default(struct conf_parser *p, void *base)
{
	((struct conf_tls *)base)->is_default = 1;
	return 0;
}

static const struct conf_special specials[] = {
	{ "names", names },
	{ "default", is_default },
	{ NULL, NULL },
};

const struct conf_section conf_section_tls = { "tls", settings, specials, NULL, 0 };

int
conf_tls_parse(struct conf_parser *p, void *base)
{
	struct conf *c = p->conf;
	struct conf_tls *t;
	unsigned int line = p->lex.line;

	(void)base;
	if (c->n_tls == CONF_TLS_MAX)
		return conf_error(
		    p, "too many certificates, expected at most %d", CONF_TLS_MAX);
	if ((t = conf_grow(&c->tls, &c->n_tls, sizeof(*t))) == NULL)
		return conf_error(p, "no memory, expected some");
	t->line = line;
	if (conf_get_block(p, &conf_section_tls, t) == -1)
		return -1;
	if (t->certificate[0] == '\0' || t->key[0] == '\0') {
		p->lex.line = line;
		return conf_error(p, "tls without a %s, expected certificate and key",
		    t->certificate[0] == '\0' ? "certificate" : "key");
	}
	return 0;
}

void
conf_tls_print(const struct conf *c, FILE *f)
{
	for (size_t i = 0; i < c->n_tls; i++) {
		const struct conf_tls *t = &c->tls[i];

		fputs("tls {\n", f);
		conf_print_settings(settings, t, f, 4);
		if (t->names[0] != '\0')
			fprintf(f, "    names %s\n", t->names);
		if (t->is_default)
			fputs("    default\n", f);
		fputs("}\n", f);
	}
}
