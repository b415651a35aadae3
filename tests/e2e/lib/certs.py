"""Certificates for one story, made with the openssl command."""

import ssl
import subprocess


def _openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


class Authority:
    def __init__(self, folder):
        self.folder = folder
        self.key, self.cert = folder / "ca.key", folder / "ca.pem"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", "/CN=story authority", "-keyout", self.key, "-out", self.cert)

    def issue(self, *names, days="2"):
        """(certificate, key) paths for these names; addresses too."""
        stem = self.folder / names[0].replace("*", "any").replace(":", "_")
        key, request, cert, extra = (stem.with_name(stem.name + end) for end in (".key", ".csr", ".pem", ".ext"))
        kinds = ["IP" if name.replace(".", "").isdigit() or ":" in name else "DNS" for name in names]
        extra.write_text("subjectAltName=" + ",".join(f"{k}:{n}" for k, n in zip(kinds, names)) + "\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={names[0]}",
                 "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                 "-extfile", extra, "-out", cert)
        key.chmod(0o600)
        return cert, key

    def revoke(self, *certs, hours="48"):
        """The path of a new list of what was revoked; `hours` negative: one past its time."""
        config, index, crl = (self.folder / name for name in ("crl.cnf", "crl.index", "crl.pem"))
        config.write_text(f"[ca]\ndefault_ca=it\n[it]\ndatabase={index}\ndefault_md=sha256\n")
        if not index.exists():
            index.write_text("")
        for cert in certs:
            _openssl("ca", "-config", config, "-keyfile", self.key, "-cert", self.cert, "-revoke", cert)
        when = ["-crlhours", hours] if int(hours) > 0 else ["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200102000000Z"]
        _openssl("ca", "-config", config, "-keyfile", self.key, "-cert", self.cert, "-gencrl", "-out", crl, *when)
        return crl

    def client(self):
        """A client's context that trusts this authority only."""
        return ssl.create_default_context(cafile=str(self.cert))

    def server(self, *names):
        """A server's context with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cert, key = self.issue(*names)
        context.load_cert_chain(cert, key)
        return context
