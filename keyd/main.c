/* SPDX-License-Identifier: ISC */
/*
 * keyd(8): the only process that holds private keys. Fronts send it the octets
 * that are to be signed in a TLS handshake and wait for the answer; deliverd-remote
 * has it log in at relays. No network, and no files but those of the secrets.
 */
#include "common/daemon.h"
#include "common/log.h"
#include "keyd/keys.h"
#include "keyd/relay.h"
#include "keyd/secrets.h"
#include "keyd/sign.h"

static uint64_t signatures;
static uint64_t refusals;
static int secrets_damaged;

static void
on_conf(struct msg *m)
{
	switch (m->type) {
	case MSG_FIFED_ANY_CONF:
		keys_round();
		break;
	case MSG_FIFED_KEYD_KEY:
		/* A bad key is one certificate's trouble: the others go on. */
		(void)keys_add(msg_take_fd(m), m->p.key.key);
		break;
	default:
		break;
	}
}

static int
on_open(void)
{
	keys_switch();
	return 0;
}

static void
on_reload(void)
{
	keys_switch();
}

/* A front that was taken over must not fill the log. */
static void
refuse(struct channel *ch, const struct msg_sign *sign, const char *why)
{
	static uint64_t last;
	uint64_t now = now_ms();

	refusals++;
	if (last != 0 && now - last < 1000)
		return;
	last = now;
	log_fact(LOG_HOST, LOGL_WARN, "refused-signature",
	    KS("front", role_name(channel_role(ch))), KU("key", sign->key),
	    KU("scheme", sign->scheme), KU("refusals", refusals), KS("reason", why));
}

static void
on_sign(struct channel *ch, struct msg *m)
{
	const struct msg_sign *sign = &m->p.sign;
	struct evp_pkey_st *key = keys_find(sign->key);
	uint8_t sig[SIGN_SIGNATURE_MAX];
	size_t len = sizeof(sig);
	struct msg_signature answer = { .status = MSG_OK, .signature = sig };
	enum sign_result r;

	if (key == NULL) {
		answer.status = MSG_UNKNOWN;
		refuse(ch, sign, "no such key");
	} else if ((r = sign_make(key, sign->scheme, sign->tbs, sign->tbs_len, sig,
			&len)) != SIGN_OK) {
		answer.status = r == SIGN_FAILED ? MSG_TEMP : MSG_DENIED;
		refuse(ch, sign, sign_result_text(r));
	} else {
		answer.signature_len = len;
		signatures++;
	}
	channel_send(ch, MSG_KEYD_FRONT_SIGNED, m->id, &answer, -1);
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	switch (m->type) {
	case MSG_FRONT_KEYD_SIGN:
		on_sign(ch, m);
		break;
	case MSG_RDELIVER_KEYD_LOGIN:
		relay_begin(ch, m);
		break;
	case MSG_RDELIVER_KEYD_LOGIN_NEXT:
		relay_next(ch, m);
		break;
	default:
		break;
	}
}

static int
on_start(void)
{
	/* Without the secrets there is still TLS. */
	secrets_damaged = secrets_open() == -1;
	return 0;
}

static void
run_status(struct ctl *ctl, int argc, char **argv)
{
	ctl_row(ctl, CTL_FACTS);
	ctl_u64(ctl, "keys", keys_count());
	ctl_u64(ctl, "signatures", signatures);
	ctl_u64(ctl, "refusals", refusals);
	ctl_u64(ctl, "secrets", secrets_count());
	if (secrets_damaged)
		ctl_str(ctl, "degraded", "the file of secrets cannot be read");
	ctl_row_end(ctl);
	ctl_done(ctl, CTL_OK, NULL);
}

static const struct ctl_command commands[] = {
	{ "status", 0, 0, run_status },
	{ "secret add", 1, 3, relay_secret_add },
	{ "secret del", 1, 1, relay_secret_del },
	{ "secret list", 0, 0, relay_secret_list },
	{ NULL, 0, 0, NULL },
};

static const struct daemon keyd_daemon = {
	.role = ROLE_KEYD,
	.conf = on_conf,
	.open = on_open,
	.start = on_start,
	.reload = on_reload,
	.peer_message = on_peer_message,
	.peer_lost = relay_lost,
	.commands = commands,
};

int
main(int argc, char **argv)
{
	int rc;

	keys_init();
	rc = daemon_run(&keyd_daemon);
	keys_clear();
	return rc;
}
