"""Independent looks at what a mail server presents: OpenSSL's s_client and Python's ssl, not our code."""

import hashlib
import smtplib
import ssl

from . import zones
from .proc import RUN, LabError, run, slowness


def make_certificate(name, host):
    """A self-signed P-256 certificate made by openssl(1). Returns (certificate, key, '3 1 1 hex')."""
    key, cert = RUN / f"{name}.key", RUN / f"{name}.pem"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
        "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", key, "-out", cert)
    return cert, key, "3 1 1 " + spki_digest_of_pem(cert.read_text())


def spki_digest_of_pem(pem):
    """SHA-256 of the SubjectPublicKeyInfo, computed by openssl(1): what a 3 1 1 record holds."""
    public = run("openssl", "x509", "-noout", "-pubkey", input=pem).stdout
    der = ssl.PEM_cert_to_DER_cert(public.replace("PUBLIC KEY", "CERTIFICATE"))
    return hashlib.sha256(der).hexdigest()


def certificate_digest_of_pem(pem):
    """SHA-256 of the whole certificate: what a 3 0 1 record holds."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def presented_certificate(address=zones.EDGE, port=25, sni=zones.MX, version=None):
    """The certificate (PEM) shown after STARTTLS, and the TLS version, seen with Python's ssl."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = version
    with smtplib.SMTP(address, port, local_hostname="check.lab", timeout=20 * slowness()) as smtp:
        smtp.ehlo()
        code, text = smtp.docmd("STARTTLS")
        if code != 220:
            raise LabError(f"STARTTLS: {code} {text}")
        smtp.sock = context.wrap_socket(smtp.sock, server_hostname=sni)
        smtp.file = None
        found = ssl.DER_cert_to_PEM_cert(smtp.sock.getpeercert(binary_form=True)), smtp.sock.version()
        smtp.ehlo()
        return found


def presented_digest(address=zones.EDGE, port=25, sni=zones.MX, version=None):
    """SHA-256 of the public key shown after STARTTLS (hex)."""
    return spki_digest_of_pem(presented_certificate(address, port, sni, version)[0])


def openssl_accepts(records, address=zones.EDGE, port=25, host=zones.MX, *options):
    """Would OpenSSL's own DANE check, given these TLSA records ('3 1 1 hex'), accept the server?
    Returns (bool, its output)."""
    argv = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"{address}:{port}", "-verify_return_error",
            "-dane_tlsa_domain", host, *options]
    for record in sorted(records):
        argv += ["-dane_tlsa_rrdata", record]
    done = run(*argv, check=False, input="QUIT\r\n", timeout=20)
    return done.returncode == 0, done.stdout + done.stderr
