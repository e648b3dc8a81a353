/* SPDX-License-Identifier: ISC */
/* fife.conf: delivery { }, how mail leaves the host. */
#include "common/conf/conf_int.h"

static const struct conf_setting settings[] = {
	{ "helo", CONF_HOST, CONF_AT(msg_conf_deliverd, helo) },
	{ "source", CONF_IP4, CONF_AT(msg_conf_deliverd, source4) },
	{ "source6", CONF_IP6, CONF_AT(msg_conf_deliverd, source6) },
	{ "smtp-port", CONF_PORT, CONF_AT(msg_conf_deliverd, smtp_port), 1, 65535, "25" },
	{ "timeout-connect", CONF_TIME, CONF_AT(msg_conf_deliverd, connect_timeout_s), 1,
	    600, "30s" },
	{ "timeout-command", CONF_TIME, CONF_AT(msg_conf_deliverd, command_timeout_s), 1,
	    3600, "5m" },
	{ "timeout-data", CONF_TIME, CONF_AT(msg_conf_deliverd, data_timeout_s), 1, 3600,
	    "10m" },
	{ "connections-max", CONF_COUNT, CONF_AT(msg_conf_deliverd, connections_max), 1,
	    10000, "200" },
	{ "ca-file", CONF_PATH, CONF_AT(msg_conf_deliverd, ca_file) },
	{ NULL },
};

const struct conf_section conf_section_delivery = { "delivery", settings, NULL, NULL,
	offsetof(struct conf, delivery) };
