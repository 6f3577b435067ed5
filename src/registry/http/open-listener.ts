import { createSecureContext } from 'node:tls';
import type { Config } from '../../contract/config/config.ts';
import { cipherSuites } from '../../contract/config/tls-section.ts';
import { readCertificatePair, type CertificateFiles, type CertificatePair } from './certificate-pair.ts';
import { createListener, type Listener } from './listener.ts';

type HttpConfig = Config['http'];

/** The files that `http.tls` names; undefined without TLS. */
export function certificateFiles({ tls }: HttpConfig): CertificateFiles | undefined {
  return tls && { certificate: tls.certificate ?? '', key: tls.key ?? '', clientCas: tls.clientcas };
}

/**
 * Reads the files that a listener for TLS needs, and lets OpenSSL look at them.
 * @throws Error that names what cannot be used
 */
export async function openCertificates(http: HttpConfig): Promise<CertificatePair | undefined> {
  const files = certificateFiles(http);
  if (files === undefined) return undefined;
  const pair = await readCertificatePair(files);
  createSecureContext({ cert: pair.cert, key: pair.key, ca: [...pair.clientCas] });
  checkCiphers(http);
  return pair;
}

/** Go has suites that OpenSSL leaves out because nobody should use them. @throws Error when none is left of TLS 1.2 */
function checkCiphers(http: HttpConfig): void {
  const ciphers = cipherList(http);
  if (ciphers === undefined) return;
  try {
    createSecureContext({ ciphers });
  } catch (cause) {
    throw new Error('ciphersuites names none that OpenSSL has here; name one with GCM or CHACHA20', {
      cause,
    });
  }
}

/** @param pair what openCertificates gave */
export function listenerFor(http: HttpConfig, pair: CertificatePair | undefined): Listener {
  if (http.tls === undefined || pair === undefined) {
    return createListener({ tls: undefined, http2: http.h2c.enabled });
  }
  const ciphers = cipherList(http);
  return createListener({
    tls: {
      pair,
      minVersion: http.tls.minimumtls === 'tls1.3' ? 'TLSv1.3' : 'TLSv1.2',
      clientAuth: http.tls.clientauth,
      ...(ciphers && { ciphers }),
    },
    http2: !http.http2.disabled,
  });
}

/** Those of TLS 1.3 stay on whatever is named, as in Go. Undefined: Node's own choice. */
function cipherList({ tls }: HttpConfig): string | undefined {
  const names = tls?.ciphersuites ?? [];
  if (names.length === 0) return undefined;
  const always = Object.values(cipherSuites).filter((name) => name.startsWith('TLS_'));
  return [...new Set([...always, ...names.map((name) => cipherSuites[name])])].join(':');
}
