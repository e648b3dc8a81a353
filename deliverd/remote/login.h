/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DELIVERD_LOGIN_H
#define FIFE_DELIVERD_LOGIN_H

/*
 * The login at a relay (RFC 4954) whose secret keyd holds: what the server says goes
 * to keyd, what keyd answers goes to the server.
 */

#include "deliverd/remote/session_int.h"

/* mechanisms: what the server offers, blanks between. The session may be gone. */
void login_begin(struct session *, const char *mechanisms);
void login_challenge(struct session *, const char *base64);
/* The server says that all is well. 0; -1: the session is gone. */
int login_done(struct session *);
void login_free(struct login *);

#endif
