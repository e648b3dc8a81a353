/* SPDX-License-Identifier: ISC */
/* fife.conf: delivery { }, how mail leaves the host. */
#include "common/conf/conf_int.h"

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

const struct conf_section conf_section_delivery = { "delivery", settings, NULL, NULL, 0 };
