"""TLS clients that do what well-behaved ones do not.

hello() builds a ClientHello octet by octet, and answer() reads what comes back in clear.
Peer drives OpenSSL's libssl (by ctypes), which can leave things out and do them too often.
Records seals records of TLS 1.3 with the keys of a finished handshake, whatever is in them."""

import ctypes
import ctypes.util
import hashlib
import hmac
import os
import struct

X25519, P256, P384, P521, FFDHE2048 = 29, 23, 24, 25, 256
ECDSA_P256_SHA256, RSA_PSS_SHA256, RSA_PKCS1_SHA256, RSA_SHA1, ECDSA_SHA1 = 0x0403, 0x0804, 0x0401, 0x0201, 0x0203
TLS12 = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8)
TLS13 = (0x1301, 0x1302, 0x1303)


def vec(size, octets):
    return len(octets).to_bytes(size, "big") + octets


def words(numbers):
    return b"".join(struct.pack(">H", n) for n in numbers)


def hello(versions=None, legacy=0x0303, suites=TLS12, groups=(X25519, P256, P384), signatures=(ECDSA_P256_SHA256, RSA_PSS_SHA256, RSA_PKCS1_SHA256),
          ems=True, compression=b"\0", alpn=None, sni=b"mx1.example.org", share=None, more=(), session_id=bytes(32), extensions=True):
    """The handshake message. `versions`: those in supported_versions. `share`: the group of a key share; 0: none.
    `more`: further extensions as (type, body)."""
    exts = []
    if sni is not None:
        exts.append((0, vec(2, b"\0" + vec(2, sni))))
    if groups is not None:
        exts.append((10, vec(2, words(groups))))
    exts.append((11, b"\1\0"))
    if signatures is not None:
        exts.append((13, vec(2, words(signatures))))
    if ems:
        exts.append((23, b""))
    if alpn is not None:
        exts.append((16, vec(2, b"".join(vec(1, a) for a in alpn))))
    if versions:
        exts.append((43, vec(1, words(versions))))
        exts.append((45, b"\1\1"))
        exts.append((51, vec(2, b"" if not share else words([share]) + vec(2, bytes([9]) + bytes(31)))))
    exts += more
    exts.append((0xFF01, b"\0"))
    body = struct.pack(">H", legacy) + os.urandom(32) + vec(1, session_id) + vec(2, words(suites)) + vec(1, compression)
    if extensions:
        body += vec(2, b"".join(words([t]) + vec(2, b) for t, b in exts))
    return b"\1" + vec(3, body)


def record(kind, octets, version=0x0301):
    return bytes([kind]) + struct.pack(">H", version) + vec(2, octets)


def records(message, size=16384):
    return b"".join(record(22, message[i:i + size]) for i in range(0, len(message), size))


def answer(octets):
    """"alert NUMBER", "retry GROUP", "1.3 SUITE", "1.2 SUITE", with " ems", " compression" or " alpn NAME" as the ServerHello
    says; "" for nothing."""
    handshake = b""
    while len(octets) >= 5:
        kind, size = octets[0], struct.unpack(">H", octets[3:5])[0]
        if len(octets) < 5 + size:
            break  # the rest is under way
        body, octets = octets[5:5 + size], octets[5 + size:]
        if kind == 21:
            return "alert %d" % body[1]
        if kind == 22 and not handshake:
            handshake = body
    if not handshake or handshake[0] != 2:
        return ""
    server = handshake[4:]
    version, rest = server[:2], server[34:]
    retry = server[2:34] == hashlib.sha256(b"HelloRetryRequest").digest()
    rest = rest[1 + rest[0]:]
    suite, compression, rest = rest[:2], rest[2], rest[5:]
    said = " compression" if compression else ""
    group = b""
    while rest:
        kind, size = struct.unpack(">HH", rest[:4])
        body, rest = rest[4:4 + size], rest[4 + size:]
        if kind == 43:
            version = body
        elif kind == 23:
            said += " ems"
        elif kind == 51:
            group = body[:2]
        elif kind == 16:
            said += " alpn " + body[3:].decode()
    if retry:
        return "retry %d" % struct.unpack(">H", group)
    return {b"\3\4": "1.3", b"\3\3": "1.2"}.get(version, version.hex()) + " %04x" % struct.unpack(">H", suite) + said


_ssl = ctypes.CDLL("libssl.so.3", use_errno=True)
_crypto = ctypes.CDLL("libcrypto.so.3")
for _name in ("SSL_CTX_new", "TLS_client_method", "SSL_new", "SSL_get_version", "SSL_get_session", "EVP_CIPHER_CTX_new", "EVP_aes_128_gcm", "EVP_aes_256_gcm",
              "EVP_chacha20_poly1305", "SSL_get1_peer_certificate", "X509_get0_pubkey"):
    getattr(_ssl if _name.startswith(("SSL", "TLS")) else _crypto, _name).restype = ctypes.c_void_p
_ssl.SSL_get_version.restype = ctypes.c_char_p
_ssl.SSL_CTX_ctrl.argtypes = _ssl.SSL_ctrl.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
_ssl.SSL_CTX_set_options.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
NO_EMS = 1 << 0


class Failed(Exception):
    pass


class Peer:
    """A client over a connected, blocking socket, on which STARTTLS was said."""

    def __init__(self, sock, versions=(0x0303, 0x0304), groups=None, signatures=None, ciphers=None, alpn=None, ems=True, sni=b"mx1.example.org"):
        self.sock = sock  # must live as long as its descriptor is used
        ctx = ctypes.c_void_p(_ssl.SSL_CTX_new(ctypes.c_void_p(_ssl.TLS_client_method())))
        _ssl.SSL_CTX_ctrl(ctx, 123, versions[0], None)
        _ssl.SSL_CTX_ctrl(ctx, 124, versions[1], None)
        _ssl.SSL_CTX_set_cipher_list(ctx, ciphers or b"ALL:@SECLEVEL=0")
        good = 1
        if groups:
            good &= _ssl.SSL_CTX_ctrl(ctx, 92, 0, groups)
        if signatures:
            good &= _ssl.SSL_CTX_ctrl(ctx, 98, 0, signatures)
        assert good == 1, (groups, signatures)
        if alpn:
            wire = b"".join(vec(1, a) for a in alpn)
            assert _ssl.SSL_CTX_set_alpn_protos(ctx, wire, len(wire)) == 0
        if not ems:
            _ssl.SSL_CTX_set_options(ctx, NO_EMS)
        self.ssl = ctypes.c_void_p(_ssl.SSL_new(ctx))
        if sni is not None:
            _ssl.SSL_ctrl(self.ssl, 55, 0, sni)
        sock.settimeout(None)
        _ssl.SSL_set_fd(self.ssl, sock.fileno())
        if _ssl.SSL_connect(self.ssl) != 1:
            raise Failed("handshake")

    def version(self):
        return _ssl.SSL_get_version(self.ssl).decode()

    def group(self):
        return _ssl.SSL_ctrl(self.ssl, 134, 0, None)

    def has_ems(self):
        return _ssl.SSL_ctrl(self.ssl, 122, 0, None) == 1

    def early_data(self):
        """How much the last ticket would let us send before the handshake."""
        return _ssl.SSL_SESSION_get_max_early_data(ctypes.c_void_p(_ssl.SSL_get_session(self.ssl)))

    def key(self):
        cert = ctypes.c_void_p(_ssl.SSL_get1_peer_certificate(self.ssl))
        kind = _crypto.EVP_PKEY_get_base_id(ctypes.c_void_p(_crypto.X509_get0_pubkey(cert)))
        return {6: "rsa", 408: "ecdsa"}[kind]

    def alpn(self):
        text, size = ctypes.c_char_p(), ctypes.c_uint()
        _ssl.SSL_get0_alpn_selected(self.ssl, ctypes.byref(text), ctypes.byref(size))
        return text.value[:size.value].decode() if size.value else None

    def write(self, octets):
        if _ssl.SSL_write(self.ssl, octets, len(octets)) != len(octets):
            raise Failed("write")

    def read(self):
        buffer = ctypes.create_string_buffer(65536)
        got = _ssl.SSL_read(self.ssl, buffer, len(buffer))
        return buffer.raw[:got] if got > 0 else b""

    def update_key(self, ask=False):
        if _ssl.SSL_key_update(self.ssl, int(ask)) != 1 or _ssl.SSL_do_handshake(self.ssl) != 1:
            raise Failed("KeyUpdate")


def expand(digest, secret, label, context, size):
    """HKDF-Expand-Label, RFC 8446 7.1."""
    info = struct.pack(">H", size) + vec(1, b"tls13 " + label) + vec(1, context)
    out = block = b""
    for i in range(1, 255):
        if len(out) >= size:
            break
        block = hmac.new(secret, block + info + bytes([i]), digest).digest()
        out += block
    return out[:size]


class Records:
    """Seals records with the traffic secret of a key log. RFC 8446 5.2, 5.3."""

    SUITES = {"TLS_AES_128_GCM_SHA256": ("sha256", 16, _crypto.EVP_aes_128_gcm), "TLS_AES_256_GCM_SHA384": ("sha384", 32, _crypto.EVP_aes_256_gcm),
              "TLS_CHACHA20_POLY1305_SHA256": ("sha256", 32, _crypto.EVP_chacha20_poly1305)}

    def __init__(self, suite, secret):
        digest, size, self.cipher = self.SUITES[suite]
        self.key, self.iv = expand(digest, secret, b"key", b"", size), expand(digest, secret, b"iv", b"", 12)
        self.number = 0

    def seal(self, kind, octets, padding=0):
        inner = octets + (bytes([kind]) if kind else b"") + bytes(padding)
        head = b"\x17\3\3" + struct.pack(">H", len(inner) + 16)
        nonce = bytes(a ^ b for a, b in zip(self.iv, self.number.to_bytes(12, "big")))
        self.number += 1
        ctx = ctypes.c_void_p(_crypto.EVP_CIPHER_CTX_new())
        out, size, tag = ctypes.create_string_buffer(len(inner) + 32), ctypes.c_int(), ctypes.create_string_buffer(16)
        assert _crypto.EVP_EncryptInit_ex(ctx, ctypes.c_void_p(self.cipher()), None, self.key, nonce) == 1
        assert _crypto.EVP_EncryptUpdate(ctx, None, ctypes.byref(size), head, len(head)) == 1
        if inner:
            assert _crypto.EVP_EncryptUpdate(ctx, out, ctypes.byref(size), inner, len(inner)) == 1
        sealed = out.raw[:len(inner)]
        assert _crypto.EVP_EncryptFinal_ex(ctx, out, ctypes.byref(size)) == 1
        assert _crypto.EVP_CIPHER_CTX_ctrl(ctx, 0x10, 16, tag) == 1
        _crypto.EVP_CIPHER_CTX_free(ctx)
        return head + sealed + tag.raw
