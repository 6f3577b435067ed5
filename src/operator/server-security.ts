import {
  ACCESS_FOLDER,
  CLIENT_AUTHORITIES_FOLDER,
  CERTIFICATE_FOLDER,
  HTPASSWD_FOLDER,
  TOKEN_KEYS_FOLDER,
} from '../contract/places.ts';
import type { Deployment } from '../kube/resources.ts';
import { childNames } from './child-names.ts';
import { ACCESS_KEY, hasAccessRules } from './desired-access.ts';
import { CLIENT_AUTHORITIES_KEY } from './desired-client-authorities.ts';
import { TOKEN_KEYS } from './desired-token-keys.ts';
import { USERS_KEY } from './desired-users.ts';
import type { Served } from './served.ts';

/** What the server is told of certificates, users and rules, and the files that it reads them from. */

type Volume = NonNullable<NonNullable<Deployment['spec']>['template']['spec']>['volumes'];

/** Folders of the pod, each with the object that it is made of. The server reads them again when they change. */
export function securityMounts(
  registry: Served,
): readonly { readonly folder: string; readonly volume: NonNullable<Volume>[number] }[] {
  const { tls, auth } = registry.spec;
  const names = childNames(registry);
  const secret = (name: string, secretName: string) => ({ name, secret: { secretName, defaultMode: 0o440 } });
  return [
    ...(tls.mode === 'Disabled'
      ? []
      : [{ folder: CERTIFICATE_FOLDER, volume: secret('tls', names.certificate) }]),
    ...(tls.clientCAs === undefined
      ? []
      : [
          {
            folder: CLIENT_AUTHORITIES_FOLDER,
            volume: { name: 'client-authorities', configMap: { name: names.clientAuthorities } },
          },
        ]),
    ...(auth?.htpasswd === undefined
      ? []
      : [{ folder: HTPASSWD_FOLDER, volume: secret('htpasswd', names.users) }]),
    ...(auth?.token === undefined
      ? []
      : [{ folder: TOKEN_KEYS_FOLDER, volume: secret('token-keys', names.tokenKeys) }]),
    ...(hasAccessRules(registry)
      ? [{ folder: ACCESS_FOLDER, volume: { name: 'access', configMap: { name: names.access } } }]
      : []),
  ];
}

const REQUIRED = 'require-and-verify-client-cert' as const;
const OPTIONAL = 'verify-client-cert-if-given' as const;

/** `http.tls` of the configuration. */
export function tlsConfig({ spec: { tls } }: Served) {
  if (tls.mode === 'Disabled') return {};
  return {
    tls: {
      certificate: `${CERTIFICATE_FOLDER}/tls.crt`,
      key: `${CERTIFICATE_FOLDER}/tls.key`,
      ...(tls.clientCAs !== undefined && {
        clientcas: [`${CLIENT_AUTHORITIES_FOLDER}/${CLIENT_AUTHORITIES_KEY}`],
        clientauth: tls.clientCAs.required ? REQUIRED : OPTIONAL,
      }),
    },
  };
}

/** `auth` of the configuration. */
export function authConfig({ metadata, spec: { auth, hostname } }: Served) {
  if (auth?.htpasswd !== undefined) {
    return {
      auth: { htpasswd: { realm: hostname ?? metadata.name, path: `${HTPASSWD_FOLDER}/${USERS_KEY}` } },
    };
  }
  if (auth?.token === undefined) return {};
  const { realm, service, issuer, rootCertBundle, jwks, signingAlgorithms } = auth.token;
  return {
    auth: {
      token: {
        realm,
        service,
        issuer,
        ...(rootCertBundle !== undefined && {
          rootcertbundle: `${TOKEN_KEYS_FOLDER}/${TOKEN_KEYS.rootCertBundle}`,
        }),
        ...(jwks !== undefined && { jwks: `${TOKEN_KEYS_FOLDER}/${TOKEN_KEYS.jwks}` }),
        ...(signingAlgorithms !== undefined && { signingalgorithms: signingAlgorithms }),
      },
    },
  };
}

/** `stevedore.auth` of the configuration. */
export function accessConfig(registry: Served) {
  const { tls, auth } = registry.spec;
  // Without passwords a certificate is the user's name anyway.
  const takesPlaceOfPassword = tls.clientCAs !== undefined && auth?.htpasswd !== undefined;
  const sections = {
    ...(hasAccessRules(registry) && { access: `${ACCESS_FOLDER}/${ACCESS_KEY}` }),
    ...(takesPlaceOfPassword && { clientcertificates: true }),
  };
  return Object.keys(sections).length === 0 ? {} : { auth: sections };
}
