import type { Registry } from '../api/registry.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { ForeignObject, Ingress } from '../kube/resources.ts';
import { childMeta, childNames } from './child-names.ts';
import { REGISTRY_PORT_NAME } from './desired-service.ts';

type Spec = Registry['spec'];

/** The name of a host without its port. An IPv6 address keeps its brackets. */
export function hostOf(hostname: string): string {
  return hostname.replace(/:\d+$/, '');
}

/** `host`: without a port. */
export function desiredIngress(
  registry: Stored<Registry>,
  { className, annotations, tlsSecretName }: NonNullable<Spec['ingress']>,
  host: string,
): ApplyFields<Ingress> {
  const names = childNames(registry);
  const encrypted = registry.spec.tls.mode !== 'Disabled';
  const secretName = tlsSecretName ?? (encrypted ? names.certificate : undefined);
  return {
    metadata: {
      ...childMeta(registry, names.ingress),
      annotations: { ...nginxAnnotations(encrypted), ...annotations },
    },
    spec: {
      ...(className !== undefined && { ingressClassName: className }),
      ...(secretName !== undefined && { tls: [{ hosts: [host], secretName }] }),
      rules: [
        {
          host,
          http: {
            paths: [
              {
                path: '/',
                pathType: 'Prefix',
                backend: { service: { name: names.service, port: { name: REGISTRY_PORT_NAME } } },
              },
            ],
          },
        },
      ],
    },
  };
}

/**
 * Layers are large, and go through without being kept; a store may take minutes to put one in its place, as long as docker
 * distribution's own example gives it; the pods speak TLS. Other controllers do not read these.
 */
function nginxAnnotations(encrypted: boolean): Readonly<Record<string, string>> {
  const prefix = 'nginx.ingress.kubernetes.io';
  return {
    [`${prefix}/proxy-body-size`]: '0',
    [`${prefix}/proxy-request-buffering`]: 'off',
    [`${prefix}/proxy-read-timeout`]: '900',
    [`${prefix}/backend-protocol`]: encrypted ? 'HTTPS' : 'HTTP',
  };
}

/** What kind of route a Registry asks for. */
export function routeKind({ gateway, tls }: Spec): 'HTTPRoute' | 'TLSRoute' {
  return gateway?.kind ?? (tls.mode === 'Disabled' ? 'HTTPRoute' : 'TLSRoute');
}

/** An HTTPRoute or a TLSRoute, which differ in their kinds alone. `host`: without a port. */
export function desiredRoute(
  registry: Stored<Registry>,
  { parentRefs, annotations }: NonNullable<Spec['gateway']>,
  host: string,
): ApplyFields<ForeignObject> {
  const names = childNames(registry);
  return {
    metadata: {
      ...childMeta(registry, names.route),
      ...(annotations !== undefined && { annotations }),
    },
    spec: {
      parentRefs,
      hostnames: [host],
      rules: [{ backendRefs: [{ name: names.service, port: registry.spec.service.port }] }],
    },
  };
}
