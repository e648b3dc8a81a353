/* SPDX-License-Identifier: ISC */
/*
 * fife.conf: resolver { }, whom dnsd asks.
 *	server ADDRESS [port N]
 *	stub ZONE at ADDRESS [port N]
 */
#include "common/conf/conf_int.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/compat/compat.h"

static const struct conf_setting settings[] = {
	{ "dnssec", CONF_YES, CONF_AT(msg_conf_dnsd, dnssec), .initial = "yes" },
	{ "cache", CONF_SIZE32, CONF_AT(msg_conf_dnsd, cache_bytes), 64 * 1024, 1u << 30,
	    "8m" },
	{ "timeout", CONF_MS, CONF_AT(msg_conf_dnsd, timeout_ms), 100, 300000, "20s" },
	{ "serve-stale", CONF_TIME, CONF_AT(msg_conf_dnsd, serve_stale_s), 0, 7 * 86400,
	    "0s" },
	{ "anchors", CONF_PATH, CONF_AT(msg_conf_dnsd, anchor_file) },
	{ "anchors-follow", CONF_YES, CONF_AT(msg_conf_dnsd, anchors_follow),
	    .initial = "yes" },
	{ "anchors-hold", CONF_TIME, CONF_AT(msg_conf_dnsd, anchors_hold_s), 1,
	    365 * 86400, "30d" },
	{ NULL },
};

static int
get_server(struct conf_parser *p, char *address, size_t cap, uint16_t *port)
{
	unsigned char a[16];
	int r;

	if (p->lex.token != TOK_WORD || (inet_pton(AF_INET, p->lex.text, a) != 1 &&
					    inet_pton(AF_INET6, p->lex.text, a) != 1))
		return conf_unexpected(p, "an IP address");
	if (conf_get_text(p, "an IP address", address, cap) == -1)
		return -1;
	*port = 53;
	if ((r = conf_accept(p, "port")) == 1)
		return conf_get_port(p, port);
	return r;
}

static int
server(struct conf_parser *p, void *base)
{
	struct conf *c = p->conf;
	struct msg_conf_dns_server *s;

	(void)base;
	if (c->n_servers == CONF_SERVERS_MAX)
		return conf_error(
		    p, "too many servers, expected at most %d", CONF_SERVERS_MAX);
	s = &c->servers[c->n_servers++];
	return get_server(p, s->address, sizeof(s->address), &s->port);
}

static int
stub(struct conf_parser *p, void *base)
{
	struct conf *c = p->conf;
	struct msg_conf_dns_stub *s;

	(void)base;
	if (c->n_stubs == CONF_STUBS_MAX)
		return conf_error(
		    p, "too many stub zones, expected at most %d", CONF_STUBS_MAX);
	if ((s = conf_grow(&c->stubs, &c->n_stubs, sizeof(*s))) == NULL)
		return conf_error(p, "no memory, expected some");
	/* "." is fine: everything is asked there. */
	if ((p->lex.token != TOK_WORD && p->lex.token != TOK_STRING) ||
	    (!conf_is_host(p->lex.text) && strcmp(p->lex.text, ".") != 0))
		return conf_unexpected(p, "the name of a zone");
	if (conf_get_text(p, "the name of a zone", s->zone, sizeof(s->zone)) == -1 ||
	    conf_expect(p, "at") == -1)
		return -1;
	return get_server(p, s->address, sizeof(s->address), &s->port);
}

static const struct conf_special specials[] = {
	{ "server", server },
	{ "stub", stub },
	{ NULL, NULL },
};

static void
print(const struct conf *c, FILE *f)
{
	for (size_t i = 0; i < c->n_servers; i++)
		fprintf(f, "    server %s port %u\n", c->servers[i].address,
		    c->servers[i].port);
	for (size_t i = 0; i < c->n_stubs; i++)
		fprintf(f, "    stub %s at %s port %u\n", c->stubs[i].zone,
		    c->stubs[i].address, c->stubs[i].port);
}

const struct conf_section conf_section_resolver = { "resolver", settings, specials, print,
	offsetof(struct conf, resolver) };
