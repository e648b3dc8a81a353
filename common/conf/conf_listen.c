/* SPDX-License-Identifier: ISC */
/*
 * fife.conf: listeners.
 *	listen KIND [on ADDRESS, …] [port N] [tls none|starttls|implicit]
 *	    [name NAME] [auth-without-tls] [client-certificates]
 *	    [proxy-from HOST, …] [xclient-from HOST, …] [etrn-from HOST, …]
 *	    [priority-from HOST, …] [no-mail]
 *	listen local
 */
#include "common/conf/conf_int.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/hostlist.h"

static const struct conf_choice kinds[] = {
	{ "smtp", LISTENER_SMTP },
	{ "submission", LISTENER_SUBMISSION },
	{ "lmtp", LISTENER_LMTP },
	{ "imap", LISTENER_IMAP },
	{ "pop3", LISTENER_POP3 },
	{ "managesieve", LISTENER_SIEVE },
	{ "local", LISTENER_LOCAL },
	{ NULL, 0 },
};

static const struct conf_choice tls_modes[] = {
	{ "none", LISTENER_TLS_NONE },
	{ "starttls", LISTENER_TLS_STARTTLS },
	{ "implicit", LISTENER_TLS_IMPLICIT },
	{ NULL, 0 },
};

#define ADDRESSES_MAX 16

const char *
conf_kind_name(uint8_t kind)
{
	for (const struct conf_choice *c = kinds; c->word != NULL; c++)
		if (c->value == kind)
			return c->word;
	return "unknown";
}

static uint16_t
default_port(uint8_t kind, uint8_t tls)
{
	int implicit = tls == LISTENER_TLS_IMPLICIT;

	switch (kind) {
	case LISTENER_SMTP:
		return 25;
	case LISTENER_SUBMISSION:
		return implicit ? 465 : 587;
	case LISTENER_LMTP:
		return 24;
	case LISTENER_IMAP:
		return implicit ? 993 : 143;
	case LISTENER_POP3:
		return implicit ? 995 : 110;
	case LISTENER_SIEVE:
		return 4190;
	}
	return 0;
}

/* One word: an address, or * for every address of both families. */
static int
get_address(struct conf_parser *p, char (*list)[108], size_t *n)
{
	unsigned char a[16];
	int all;

	if (p->lex.token != TOK_WORD)
		return conf_unexpected(p, "an IP address or *");
	all = strcmp(p->lex.text, "*") == 0;
	if (*n + (all ? 2 : 1) > ADDRESSES_MAX)
		return conf_error(
		    p, "too many addresses, expected at most %d", ADDRESSES_MAX);
	if (all) {
		strlcpy(list[(*n)++], "0.0.0.0", sizeof(list[0]));
		strlcpy(list[(*n)++], "::", sizeof(list[0]));
		return conf_advance(p);
	}
	if (inet_pton(AF_INET, p->lex.text, a) != 1 &&
	    inet_pton(AF_INET6, p->lex.text, a) != 1)
		return conf_unexpected(p, "an IP address or *");
	strlcpy(list[(*n)++], p->lex.text, sizeof(list[0]));
	return conf_advance(p);
}

/* Addresses and prefixes, with commas, into a list of common/proto/hostlist.h. */
static int
get_hosts(struct conf_parser *p, const struct msg_listener *l, char *list, size_t cap)
{
	int r;

	if (l->kind != LISTENER_SMTP && l->kind != LISTENER_SUBMISSION &&
	    l->kind != LISTENER_LMTP)
		return conf_error(p,
		    "only smtp, submission and lmtp know of such hosts, expected "
		    "on, port, tls, name or auth-without-tls");
	do {
		if (p->lex.token != TOK_WORD || !hostlist_is_entry(p->lex.text))
			return conf_unexpected(
			    p, "an IP address or a prefix such as 192.0.2.0/24");
		if (list[0] != '\0')
			strlcat(list, " ", cap);
		if (strlcat(list, p->lex.text, cap) >= cap)
			return conf_error(p,
			    "too many hosts, expected at most %zu characters", cap - 1);
		if (conf_advance(p) == -1)
			return -1;
		if ((r = p->lex.token == TOK_COMMA) && conf_advance(p) == -1)
			return -1;
	} while (r);
	return 0;
}

static int
get_clauses(struct conf_parser *p, struct msg_listener *l, char (*list)[108], size_t *n)
{
	int r;

	while (p->lex.token == TOK_WORD) {
		if ((r = conf_accept(p, "on")) == 1) {
			if (get_address(p, list, n) == -1)
				return -1;
			while (p->lex.token == TOK_COMMA)
				if (conf_advance(p) == -1 ||
				    get_address(p, list, n) == -1)
					return -1;
		} else if (r == 0 && (r = conf_accept(p, "port")) == 1) {
			if (conf_get_port(p, &l->port) == -1)
				return -1;
		} else if (r == 0 && (r = conf_accept(p, "tls")) == 1) {
			if (conf_get_choice(p, "tls", tls_modes, &l->tls) == -1)
				return -1;
		} else if (r == 0 && (r = conf_accept(p, "name")) == 1) {
			if (conf_get_text(p, "a name", l->name, sizeof(l->name)) == -1)
				return -1;
		} else if (r == 0 && (r = conf_accept(p, "auth-without-tls")) == 1) {
			l->auth_without_tls = 1;
		} else if (r == 0 && (r = conf_accept(p, "client-certificates")) == 1) {
			l->client_certificates = 1;
		} else if (r == 0 && (r = conf_accept(p, "proxy-from")) == 1) {
			if (get_hosts(p, l, l->proxy_from, sizeof(l->proxy_from)) == -1)
				return -1;
		} else if (r == 0 && (r = conf_accept(p, "xclient-from")) == 1) {
			if (get_hosts(p, l, l->xclient_from, sizeof(l->xclient_from)) ==
			    -1)
				return -1;
		} else if (r == 0 && (r = conf_accept(p, "etrn-from")) == 1) {
			if (get_hosts(p, l, l->etrn_from, sizeof(l->etrn_from)) == -1)
				return -1;
		} else if (r == 0 && (r = conf_accept(p, "priority-from")) == 1) {
			if (get_hosts(p, l, l->priority_from, sizeof(l->priority_from)) ==
			    -1)
				return -1;
		} else if (r == 0 && l->kind == LISTENER_SMTP &&
			   (r = conf_accept(p, "no-mail")) == 1) {
			l->no_mail = 1;
		} else if (r == 0) {
			return conf_unexpected(p,
			    "on, port, tls, name, auth-without-tls, "
			    "client-certificates, proxy-from, xclient-from, etrn-from, "
			    "priority-from, no-mail (of smtp) or the end of the line");
		}
		if (r == -1)
			return -1;
	}
	if (p->lex.token != TOK_EOL && p->lex.token != TOK_EOF)
		return conf_unexpected(p, "the end of the line");
	return 0;
}

static int
add(struct conf_parser *p, const struct msg_listener *l, const char *address,
    unsigned int line)
{
	struct conf *c = p->conf;
	struct conf_listener *new;

	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct conf_listener *o = &c->listeners[i];

		if (strcmp(o->m.address, address) == 0 && o->m.port == l->port) {
			p->lex.line = line;
			return conf_error(p,
			    "%s port %u is taken by line %u, expected another", address,
			    l->port, o->line);
		}
	}
	if (c->n_listeners == CONF_LISTENERS_MAX)
		return conf_error(
		    p, "too many listeners, expected at most %d", CONF_LISTENERS_MAX);
	if ((new = conf_grow(&c->listeners, &c->n_listeners, sizeof(*new))) == NULL)
		return conf_error(p, "no memory, expected some");
	new->m = *l;
	new->line = line;
	strlcpy(new->m.address, address, sizeof(new->m.address));
	return 0;
}

int
conf_listen_parse(struct conf_parser *p, void *base)
{
	struct msg_listener l;
	char list[ADDRESSES_MAX][108];
	size_t n = 0;
	unsigned int line = p->lex.line;

	(void)base;
	memset(&l, 0, sizeof(l));
	if (conf_get_choice(p, "listen", kinds, &l.kind) == -1)
		return -1;
	if (l.kind == LISTENER_LOCAL) {
		if (p->lex.token != TOK_EOL && p->lex.token != TOK_EOF)
			return conf_unexpected(p, "the end of the line");
		strlcpy(l.name, "local", sizeof(l.name));
		return add(p, &l, "public/submit", line);
	}
	l.tls = l.kind == LISTENER_LMTP ? LISTENER_TLS_NONE : LISTENER_TLS_STARTTLS;
	if (get_clauses(p, &l, list, &n) == -1)
		return -1;
	if (n == 0) {
		/* LMTP has no login and is nothing for strangers: only where one says so.
		 */
		strlcpy(list[n++], l.kind == LISTENER_LMTP ? "127.0.0.1" : "0.0.0.0",
		    sizeof(list[0]));
		strlcpy(
		    list[n++], l.kind == LISTENER_LMTP ? "::1" : "::", sizeof(list[0]));
	}
	if (l.port == 0)
		l.port = default_port(l.kind, l.tls);
	if (l.name[0] == '\0')
		snprintf(l.name, sizeof(l.name), "%s-%u", conf_kind_name(l.kind), l.port);
	for (size_t i = 0; i < n; i++)
		if (add(p, &l, list[i], line) == -1)
			return -1;
	return 0;
}

static void
print_hosts(const char *word, const char *list, FILE *f)
{
	if (list[0] == '\0')
		return;
	fprintf(f, " %s ", word);
	for (; *list != '\0'; list++)
		fputs(*list == ' ' ? ", " : (char[]){ *list, '\0' }, f);
}

void
conf_listen_print(const struct conf *c, FILE *f)
{
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct msg_listener *l = &c->listeners[i].m;

		if (l->kind == LISTENER_LOCAL) {
			fputs("listen local\n", f);
			continue;
		}
		fprintf(f, "listen %s on %s port %u tls %s name ",
		    conf_kind_name(l->kind), l->address, l->port, tls_modes[l->tls].word);
		conf_print_quoted(f, l->name);
		fputs(l->auth_without_tls ? " auth-without-tls" : "", f);
		fputs(l->client_certificates ? " client-certificates" : "", f);
		print_hosts("proxy-from", l->proxy_from, f);
		print_hosts("xclient-from", l->xclient_from, f);
		print_hosts("etrn-from", l->etrn_from, f);
		print_hosts("priority-from", l->priority_from, f);
		fputs(l->no_mail ? " no-mail" : "", f);
		fputc('\n', f);
	}
}
