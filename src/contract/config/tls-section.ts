import type { Findings } from './decode.ts';
import type { Decoded, ObjectField } from './fields.ts';

/** Go's names, which docker distribution takes, and OpenSSL's. Those of TLS 1.3 are always on, as in Go. */
export const cipherSuites = {
  TLS_RSA_WITH_3DES_EDE_CBC_SHA: 'DES-CBC3-SHA',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA: 'ECDHE-RSA-DES-CBC3-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_AES_128_GCM_SHA256: 'TLS_AES_128_GCM_SHA256',
  TLS_AES_256_GCM_SHA384: 'TLS_AES_256_GCM_SHA384',
  TLS_CHACHA20_POLY1305_SHA256: 'TLS_CHACHA20_POLY1305_SHA256',
} as const;

// The keys of an object literal are what its type says.
const CIPHER_SUITES = Object.keys(cipherSuites) as readonly (keyof typeof cipherSuites)[];

/** `http.tls`. */
export const tlsSection = {
  type: 'object',
  optional: true,
  description: 'Serves HTTPS. The files are watched, and what is new in them is served without a restart.',
  fields: {
    certificate: {
      type: 'string',
      format: 'file',
      optional: true,
      description: 'PEM file with the certificate, then its intermediates.',
    },
    key: {
      type: 'string',
      format: 'file',
      optional: true,
      description: 'PEM file with the private key.',
    },
    clientcas: {
      type: 'list',
      of: { type: 'string', format: 'file', description: 'PEM file with certificates.' },
      description: 'Authorities of client certificates, which clients are asked for then.',
    },
    clientauth: {
      type: 'string',
      values: [
        'request-client-cert',
        'require-any-client-cert',
        'verify-client-cert-if-given',
        'require-and-verify-client-cert',
      ],
      default: 'require-and-verify-client-cert',
      description:
        'With `clientcas`: whether a client needs a certificate, and whether an authority must have signed it.',
    },
    minimumtls: {
      type: 'string',
      values: ['tls1.0', 'tls1.1', 'tls1.2', 'tls1.3'],
      default: 'tls1.2',
      description: 'Oldest version spoken. `tls1.0` and `tls1.1` are raised to `tls1.2`.',
    },
    ciphersuites: {
      type: 'list',
      of: { type: 'string', values: CIPHER_SUITES, description: 'A cipher suite by its name in Go.' },
      description:
        'Cipher suites of TLS 1.2, by their names in Go; without it all that are safe. Those of TLS 1.3 are always on.',
    },
    letsencrypt: {
      type: 'object',
      optional: true,
      description:
        'Refused: certificates come from files. An ACME client or cert-manager renews those, and what is new is served at once.',
      fields: {
        cachefile: { type: 'string', optional: true, description: 'Refused.' },
        email: { type: 'obsolete', description: 'it is of use with cachefile alone' },
        hosts: { type: 'obsolete', description: 'it is of use with cachefile alone' },
        directoryurl: { type: 'obsolete', description: 'it is of use with cachefile alone' },
      },
    },
  },
} as const satisfies ObjectField;

/** Rules over several fields. */
export function checkTls(tls: Decoded<typeof tlsSection> | undefined, found: Findings): void {
  if (tls === undefined) return;
  if (tls.letsencrypt?.cachefile !== undefined) {
    const message =
      'is not supported: let an ACME client such as certbot or lego, or cert-manager, write the files of http.tls.certificate and http.tls.key; a renewal is served at once';
    found.errors.push({ path: 'http.tls.letsencrypt', message });
    return;
  }
  for (const name of ['certificate', 'key'] as const) {
    const path = `http.tls.${name}`;
    const failed = found.errors.some((error) => error.path === path);
    if (tls[name] === undefined && !failed) found.errors.push({ path, message: 'is required with TLS' });
  }
  if (tls.minimumtls === 'tls1.0' || tls.minimumtls === 'tls1.1') {
    found.notices.push({ path: 'http.tls.minimumtls', message: `${tls.minimumtls} is raised to tls1.2` });
  }
  if (found.errors.some(({ path }) => path.startsWith('http.tls.ciphersuites'))) return;
  const suites = tls.ciphersuites.filter((name) => !cipherSuites[name].startsWith('TLS_'));
  if (tls.ciphersuites.length > 0 && suites.length === 0 && tls.minimumtls !== 'tls1.3') {
    found.errors.push({
      path: 'http.tls.ciphersuites',
      message: 'names none of TLS 1.2; name one, or set http.tls.minimumtls: tls1.3',
    });
  }
}
