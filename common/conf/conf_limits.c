/* SPDX-License-Identifier: ISC */
/* fife.conf: limits { }, what accounts may, and watch { }, when one looks stolen. */
#include "common/conf/conf_int.h"

#define NUMBER(word, member)                                                            \
	{                                                                               \
		word, CONF_LIMIT, CONF_AT(msg_conf_limits, member), 1, UINT32_MAX, NULL \
	}
#define OCTETS(word, member)                                                           \
	{                                                                              \
		word, CONF_LIMIT_SIZE, CONF_AT(msg_conf_limits, member), 1, INT64_MAX, \
		    NULL                                                               \
	}

static const struct conf_choice when_full[] = {
	{ "soft", 0 },
	{ "hard", 1 },
	{ NULL, 0 },
};

/* Without an initial value: what is built in is authd's business. */
static const struct conf_setting limits_settings[] = {
	NUMBER("messages-hour", messages_hour),
	NUMBER("messages-day", messages_day),
	NUMBER("recipients-hour", recipients_hour),
	NUMBER("recipients-day", recipients_day),
	NUMBER("recipients-message", recipients_message),
	OCTETS("message-size", message_size),
	OCTETS("quota", quota),
	NUMBER("quota-messages", quota_messages),
	{ "quota-full", CONF_CHOICE, CONF_AT(msg_conf_limits, quota_hard),
	    .initial = "soft", .choices = when_full },
	NUMBER("sessions", sessions),
	{ NULL },
};

const struct conf_section conf_section_limits = { "limits", limits_settings, NULL, NULL,
	offsetof(struct conf, limits) };

static const struct conf_choice actions[] = {
	{ "off", WATCH_OFF },
	{ "note", WATCH_NOTE },
	{ "throttle", WATCH_THROTTLE },
	{ "hold", WATCH_HOLD },
	{ NULL, 0 },
};

/* 0: that one is not looked at. */
static const struct conf_setting watch_settings[] = {
	{ "action", CONF_CHOICE, CONF_AT(msg_conf_watch, action), .initial = "throttle",
	    .choices = actions },
	{ "volume", CONF_COUNT, CONF_AT(msg_conf_watch, volume), 0, 10000000, "500" },
	{ "volume-factor", CONF_COUNT, CONF_AT(msg_conf_watch, volume_factor), 1, 10000,
	    "10" },
	{ "refused", CONF_COUNT, CONF_AT(msg_conf_watch, refused), 0, 10000000, "100" },
	{ "networks", CONF_COUNT, CONF_AT(msg_conf_watch, networks), 0, 32, "8" },
	{ "window", CONF_TIME, CONF_AT(msg_conf_watch, window_s), 60, 86400, "1h" },
	{ "throttled-recipients", CONF_COUNT, CONF_AT(msg_conf_watch, throttled), 0,
	    100000, "10" },
	{ NULL },
};

const struct conf_section conf_section_watch = { "watch", watch_settings, NULL, NULL,
	offsetof(struct conf, watch) };
