/* SPDX-License-Identifier: ISC */
/* fife.conf: delivery { }, how mail leaves the host. */
#include "common/conf/conf_int.h"

#include <stdio.h>

#include "common/proto/route.h"

static const struct conf_choice floors[] = {
	{ "none", TLS_FLOOR_NONE },
	{ "opportunistic", TLS_FLOOR_OPPORTUNISTIC },
	{ "required", TLS_FLOOR_REQUIRED },
	{ "verified", TLS_FLOOR_VERIFIED },
	{ "dane", TLS_FLOOR_DANE },
	{ NULL, 0 },
};

static const struct conf_choice downgrades[] = {
	{ "log", 0 },
	{ "defer", 1 },
	{ NULL, 0 },
};

static const struct conf_setting settings[] = {
	{ "helo", CONF_HOST, CONF_AT(conf, delivery.helo) },
	{ "source", CONF_IP4, CONF_AT(conf, delivery.source4) },
	{ "source6", CONF_IP6, CONF_AT(conf, delivery.source6) },
	{ "smtp-port", CONF_PORT, CONF_AT(conf, delivery.smtp_port), 1, 65535, "25" },
	{ "timeout-connect", CONF_TIME, CONF_AT(conf, delivery.connect_timeout_s), 1, 600,
	    "30s" },
	{ "timeout-greeting", CONF_TIME, CONF_AT(conf, delivery.greeting_timeout_s), 1,
	    3600, "5m" },
	{ "timeout-command", CONF_TIME, CONF_AT(conf, delivery.command_timeout_s), 1,
	    3600, "5m" },
	{ "timeout-data", CONF_TIME, CONF_AT(conf, delivery.data_timeout_s), 1, 3600,
	    "10m" },
	{ "timeout-final", CONF_TIME, CONF_AT(conf, delivery.final_timeout_s), 1, 7200,
	    "10m" },
	{ "connections-max", CONF_COUNT, CONF_AT(conf, delivery.connections_max), 1,
	    10000, "200" },
	{ "messages-max", CONF_COUNT, CONF_AT(conf, delivery.messages_max), 1, 100000,
	    "100" },
	{ "idle", CONF_TIME, CONF_AT(conf, delivery.idle_s), 1, 300, "5s" },
	{ "tls", CONF_CHOICE, CONF_AT(conf, delivery.tls), .initial = "opportunistic",
	    .choices = floors },
	{ "tls-downgrade", CONF_CHOICE, CONF_AT(conf, delivery.downgrade),
	    .initial = "log", .choices = downgrades },
	{ "dane", CONF_YES, CONF_AT(conf, delivery.dane), .initial = "yes" },
	{ "mta-sts", CONF_YES, CONF_AT(conf, delivery.mta_sts), .initial = "yes" },
	{ "tls-reports", CONF_YES, CONF_AT(conf, delivery.tls_reports),
	    .initial = "yes" },
	{ "chunking", CONF_YES, CONF_AT(conf, delivery.chunking), .initial = "yes" },
	{ "mta-sts-port", CONF_PORT, CONF_AT(conf, policy.port), 1, 65535, "443" },
	{ "mta-sts-timeout", CONF_TIME, CONF_AT(conf, policy.timeout_s), 1, 300, "20s" },
	{ "ca-file", CONF_PATH, CONF_AT(conf, delivery.ca_file) },
	{ NULL },
};

static int
local_socket(struct conf_parser *p, void *base)
{
	struct conf *c = p->conf;
	struct msg_local_path *s;
	struct routeurl url;
	char text[sizeof(s->path) + 24];
	const char *why;

	(void)base;
	if (c->n_sockets == CONF_SOCKETS_MAX)
		return conf_error(
		    p, "too many sockets, expected at most %d", CONF_SOCKETS_MAX);
	if ((s = conf_grow(&c->sockets, &c->n_sockets, sizeof(*s))) == NULL)
		return conf_error(p, "no memory, expected some");
	snprintf(text, sizeof(text), "lmtp+unix:%.115s", p->lex.text);
	if ((p->lex.token != TOK_WORD && p->lex.token != TOK_STRING) ||
	    routeurl_parse(text, &url, &why) == -1)
		return conf_unexpected(p, "an absolute path");
	return conf_get_text(p, "an absolute path", s->path, sizeof(s->path));
}

static const struct conf_special specials[] = {
	{ "unix-socket", local_socket },
	{ NULL, NULL },
};

static void
print(const struct conf *c, FILE *f)
{
	for (size_t i = 0; i < c->n_sockets; i++) {
		fprintf(f, "    unix-socket ");
		conf_print_quoted(f, c->sockets[i].path);
		fprintf(f, "\n");
	}
}

const struct conf_section conf_section_delivery = { "delivery", settings, specials, print,
	0 };
