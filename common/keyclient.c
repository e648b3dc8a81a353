/* SPDX-License-Identifier: ISC */
/*
 * An OpenSSL provider "fife" whose private keys are numbers; see keyclient.h. It
 * has key management and one-shot signatures for RSA, EC and Ed25519 and nothing
 * else. Everything that OpenSSL asks about a key is answered by the public half,
 * which is an ordinary key of the default provider. There is no export function,
 * so that OpenSSL cannot carry the key to another provider, and no decryption:
 * the server side offers no RSA key exchange.
 *
 * Another TLS library would get its own keyclient_x.c behind the same header.
 */
#include "common/keyclient.h"

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

#define PROVIDER "fife"
#define PROPERTIES "provider=" PROVIDER
#define PARAM_NUMBER "fife-key"

struct remote_key {
	const char *type; /* name of the key type at the default provider */
	EVP_PKEY *pub;    /* NULL until import */
	uint32_t number;
	int private; /* the number is set: keyd has the other half */
};

struct signing {
	const struct remote_key *key;
	int hash; /* 0, 1, 2: SHA-256, SHA-384, SHA-512 */
	int pss;
};

static struct channel *(*peer)(void);

void
keyclient_set_peer(struct channel *(*p)(void))
{
	peer = p;
}

/* Key management. */

static void *
key_new(const char *type)
{
	struct remote_key *k = calloc(1, sizeof(*k));

	if (k != NULL)
		k->type = type;
	return k;
}

static void *
rsa_new(void *provctx)
{
	return key_new("RSA");
}

static void *
ec_new(void *provctx)
{
	return key_new("EC");
}

static void *
ed25519_new(void *provctx)
{
	return key_new("ED25519");
}

static void
key_free(void *vkey)
{
	struct remote_key *k = vkey;

	if (k == NULL)
		return;
	EVP_PKEY_free(k->pub);
	free(k);
}

static int
key_has(const void *vkey, int selection)
{
	const struct remote_key *k = vkey;

	if (k == NULL || k->pub == NULL)
		return 0;
	return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || k->private;
}

/* Also called with the certificate's key, which is to be compared with ours. */
static int
key_match(const void *va, const void *vb, int selection)
{
	const struct remote_key *a = va, *b = vb;

	return a->pub != NULL && b->pub != NULL && EVP_PKEY_eq(a->pub, b->pub) == 1;
}

static int
key_import(void *vkey, int selection, const OSSL_PARAM params[])
{
	struct remote_key *k = vkey;
	const OSSL_PARAM *number = OSSL_PARAM_locate_const(params, PARAM_NUMBER);
	EVP_PKEY_CTX *ctx;
	int ok;

	if (k->pub != NULL)
		return 0;
	if (number != NULL) {
		if (!OSSL_PARAM_get_uint32(number, &k->number))
			return 0;
		k->private = 1;
	}
	ctx = EVP_PKEY_CTX_new_from_name(NULL, k->type, "provider=default");
	ok = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
	     EVP_PKEY_fromdata(ctx, &k->pub, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) ==
		 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static const OSSL_PARAM *
key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_uint32(PARAM_NUMBER, NULL),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END,
	};

	return types;
}

static int
key_get_params(void *vkey, OSSL_PARAM params[])
{
	const struct remote_key *k = vkey;

	return k->pub != NULL && EVP_PKEY_get_params(k->pub, params) == 1;
}

static const OSSL_PARAM *
key_gettable_params(void *provctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(
		    OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_END,
	};

	return params;
}

static const char *
ec_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

/* Signatures. */

static void *
signing_new(void *provctx, const char *propq)
{
	return calloc(1, sizeof(struct signing));
}

static void
signing_free(void *vctx)
{
	free(vctx);
}

static int
set_hash(struct signing *s, const char *name)
{
	static const char *const names[][2] = {
		{ "SHA256", "SHA2-256" },
		{ "SHA384", "SHA2-384" },
		{ "SHA512", "SHA2-512" },
	};

	for (int i = 0; i < 3; i++)
		if (strcasecmp(name, names[i][0]) == 0 ||
		    strcasecmp(name, names[i][1]) == 0) {
			s->hash = i;
			return 1;
		}
	return 0;
}

static int
signing_set_params(void *vctx, const OSSL_PARAM params[])
{
	struct signing *s = vctx;
	const OSSL_PARAM *p;
	const char *text;
	int pad;

	if (params == NULL)
		return 1;
	/* The salt is as long as the digest, whatever is set: keyd sees to that. */
	if ((p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE)) == NULL)
		return 1;
	if (p->data_type == OSSL_PARAM_UTF8_STRING) {
		if (!OSSL_PARAM_get_utf8_string_ptr(p, &text))
			return 0;
		pad = strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0
			  ? RSA_PKCS1_PSS_PADDING
		      : strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0
			  ? RSA_PKCS1_PADDING
			  : -1;
	} else if (!OSSL_PARAM_get_int(p, &pad))
		return 0;
	if (pad != RSA_PKCS1_PSS_PADDING && pad != RSA_PKCS1_PADDING)
		return 0;
	s->pss = pad == RSA_PKCS1_PSS_PADDING;
	return 1;
}

static const OSSL_PARAM *
signing_settable_params(void *vctx, void *provctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END,
	};

	return params;
}

static int
digest_sign_init(void *vctx, const char *md, void *vkey, const OSSL_PARAM params[])
{
	struct signing *s = vctx;

	if (vkey != NULL)
		s->key = vkey;
	if (s->key == NULL || !s->key->private)
		return 0;
	if (strcmp(s->key->type, "ED25519") == 0) {
		if (md != NULL && md[0] != '\0')
			return 0;
	} else if (!set_hash(s, md == NULL || md[0] == '\0' ? "SHA256" : md))
		return 0;
	return signing_set_params(s, params);
}

/* RFC 8446, 4.2.3. */
static uint16_t
scheme(const struct signing *s)
{
	if (strcmp(s->key->type, "ED25519") == 0)
		return 0x0807;
	if (strcmp(s->key->type, "EC") == 0)
		return (uint16_t)(0x0403 + 0x100 * s->hash);
	return (uint16_t)(s->pss ? 0x0804 + s->hash : 0x0401 + 0x100 * s->hash);
}

/* A keyd that hangs holds each handshake up, and with it all other clients: after a
 * few waits in vain the next are refused at once for a while. */
#define DEAF_AFTER 3
#define DEAF_MS 5000
static uint64_t deaf_until, deaf_serial;
static unsigned int unanswered;

/* Why there is no signature: once a second, however many the handshakes. */
static int
refused(const char *why)
{
	static uint64_t last;
	uint64_t now = now_ms();

	if (last == 0 || now - last >= 1000) {
		last = now;
		log_warnx("no TLS signature: %s", why);
	}
	ERR_raise_data(ERR_LIB_PROV, ERR_R_INTERNAL_ERROR, "%s", why);
	return 0;
}

static int
ask(const struct signing *s, uint8_t *sig, size_t *siglen, size_t cap, const uint8_t *tbs,
    size_t len)
{
	struct channel *ch = peer != NULL ? peer() : daemon_peer(ROLE_KEYD);
	struct msg_sign sign = {
		.key = s->key->number, .scheme = scheme(s), .tbs = tbs, .tbs_len = len
	};
	struct msg answer;

	if (ch == NULL)
		return refused("keyd is away");
	if (channel_serial(ch) != deaf_serial)
		unanswered = 0;
	else if (unanswered >= DEAF_AFTER && now_ms() < deaf_until)
		return refused("keyd has not answered lately");
	deaf_serial = channel_serial(ch);
	if (channel_ask_wait(
		ch, MSG_FRONT_KEYD_SIGN, &sign, KEYCLIENT_TIMEOUT_MS, &answer) == -1) {
		unanswered++;
		deaf_until = now_ms() + DEAF_MS;
		return refused("keyd does not answer");
	}
	unanswered = 0;
	if (answer.type != MSG_KEYD_FRONT_SIGNED || answer.p.signature.status != MSG_OK)
		return refused("keyd refuses");
	if (answer.p.signature.signature_len == 0 ||
	    answer.p.signature.signature_len > cap)
		return refused("signature of impossible length");
	memcpy(sig, answer.p.signature.signature, answer.p.signature.signature_len);
	*siglen = answer.p.signature.signature_len;
	return 1;
}

static int
digest_sign(void *vctx, unsigned char *sig, size_t *siglen, size_t cap,
    const unsigned char *tbs, size_t len)
{
	const struct signing *s = vctx;

	if (s->key == NULL)
		return 0;
	if (sig == NULL) {
		*siglen = (size_t)EVP_PKEY_get_size(s->key->pub);
		return 1;
	}
	return ask(s, sig, siglen, cap, tbs, len);
}

/* The tables. */

#define FN(id, f)                       \
	{                               \
		id, (void (*)(void))(f) \
	}
#define KEYMGMT_FNS(new)                                                                \
	FN(OSSL_FUNC_KEYMGMT_NEW, new), FN(OSSL_FUNC_KEYMGMT_FREE, key_free),           \
	    FN(OSSL_FUNC_KEYMGMT_HAS, key_has), FN(OSSL_FUNC_KEYMGMT_MATCH, key_match), \
	    FN(OSSL_FUNC_KEYMGMT_IMPORT, key_import),                                   \
	    FN(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),                       \
	    FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                           \
	    FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params)

static const OSSL_DISPATCH rsa_keymgmt[] = { KEYMGMT_FNS(rsa_new), { 0, NULL } };
static const OSSL_DISPATCH ec_keymgmt[] = { KEYMGMT_FNS(ec_new),
	FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation_name), { 0, NULL } };
static const OSSL_DISPATCH ed25519_keymgmt[] = { KEYMGMT_FNS(ed25519_new), { 0, NULL } };

/* Only the one-shot: with update and final OpenSSL would hash here, and keyd
 * could not see what it signs. */
static const OSSL_DISPATCH signature[] = {
	FN(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
	FN(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, digest_sign_init),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, digest_sign),
	FN(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set_params),
	FN(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable_params),
	{ 0, NULL },
};

static const OSSL_ALGORITHM keymgmts[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, rsa_keymgmt, NULL },
	{ "EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTIES, ec_keymgmt, NULL },
	{ "ED25519:1.3.101.112", PROPERTIES, ed25519_keymgmt, NULL },
	{ NULL, NULL, NULL, NULL },
};

static const OSSL_ALGORITHM signatures[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, signature, NULL },
	{ "ECDSA", PROPERTIES, signature, NULL },
	{ "ED25519:1.3.101.112", PROPERTIES, signature, NULL },
	{ NULL, NULL, NULL, NULL },
};

static const OSSL_ALGORITHM *
query(void *provctx, int operation, int *no_cache)
{
	*no_cache = 0;
	if (operation == OSSL_OP_KEYMGMT)
		return keymgmts;
	if (operation == OSSL_OP_SIGNATURE)
		return signatures;
	return NULL;
}

static int
provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **provctx)
{
	static const OSSL_DISPATCH table[] = {
		FN(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
		{ 0, NULL },
	};

	*out = table;
	*provctx = (void *)(uintptr_t)handle;
	return 1;
}

int
keyclient_init(void)
{
	static OSSL_PROVIDER *standard, *ours;

	if (ours != NULL)
		return 0;
	/* In this order: between equals OpenSSL takes the first. */
	if (standard == NULL && (standard = OSSL_PROVIDER_load(NULL, "default")) == NULL)
		return -1;
	if (OSSL_PROVIDER_add_builtin(NULL, PROVIDER, provider_init) != 1)
		return -1;
	ours = OSSL_PROVIDER_load(NULL, PROVIDER);
	return ours == NULL ? -1 : 0;
}

EVP_PKEY *
keyclient_key(X509 *cert, uint32_t number)
{
	static const char *const types[] = { "RSA", "EC", "ED25519" };
	EVP_PKEY *pub = X509_get0_pubkey(cert), *key = NULL;
	OSSL_PARAM *params = NULL, *merged = NULL;
	OSSL_PARAM extra[] = { OSSL_PARAM_uint32(PARAM_NUMBER, &number), OSSL_PARAM_END };
	EVP_PKEY_CTX *ctx = NULL;
	size_t i;

	if (pub == NULL)
		return NULL;
	for (i = 0; i < 3 && !EVP_PKEY_is_a(pub, types[i]); i++)
		;
	if (i == 3)
		return NULL;
	if (EVP_PKEY_todata(pub, EVP_PKEY_PUBLIC_KEY, &params) != 1 ||
	    (merged = OSSL_PARAM_merge(params, extra)) == NULL ||
	    (ctx = EVP_PKEY_CTX_new_from_name(NULL, types[i], PROPERTIES)) == NULL ||
	    EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, merged) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OPENSSL_free(merged); /* the array alone: its values are params' */
	OSSL_PARAM_free(params);
	return key;
}
