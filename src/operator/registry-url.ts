import type { Registry } from '../api/registry.ts';

/** Where clients find the registry: scheme, host and port, with the port left out where the scheme implies it. */
export function registryUrl(registry: Registry): string {
  const { hostname, tls, service } = registry.spec;
  const { name, namespace } = registry.metadata;
  const [scheme, implied] = tls.mode === 'Disabled' ? ['http', 80] : ['https', 443];
  if (hostname !== undefined) return `${scheme}://${hostname}`;
  return `${scheme}://${name}.${namespace}.svc${service.port === implied ? '' : `:${service.port}`}`;
}
