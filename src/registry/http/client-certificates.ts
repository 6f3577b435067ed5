import type { TLSSocket } from 'node:tls';
import type { Config } from '../../contract/config/config.ts';

/** `http.tls.clientauth`, in Go's words for it. */
export type ClientAuth = NonNullable<Config['http']['tls']>['clientauth'];

interface Demand {
  /** A client without a certificate is refused. */
  readonly required: boolean;
  /** A certificate that no authority has signed is refused. */
  readonly verified: boolean;
}

const demands: Readonly<Record<ClientAuth, Demand>> = {
  'request-client-cert': { required: false, verified: false },
  'require-any-client-cert': { required: true, verified: false },
  'verify-client-cert-if-given': { required: false, verified: true },
  'require-and-verify-client-cert': { required: true, verified: true },
};

/** OpenSSL knows the first and the last of Go's four; it refuses in the handshake. `admits` does the others. */
export function clientCertificateOptions(mode: ClientAuth): {
  readonly requestCert: true;
  readonly rejectUnauthorized: boolean;
} {
  const { required, verified } = demands[mode];
  return { requestCert: true, rejectUnauthorized: required && verified };
}

/** Whether a connection whose handshake is over may go on. */
export function admits(socket: TLSSocket, mode: ClientAuth): boolean {
  const { required, verified } = demands[mode];
  // `getPeerCertificate` gives an empty object when there is none.
  const given = Object.keys(socket.getPeerCertificate()).length > 0;
  return given ? !verified || socket.authorized : !required;
}
