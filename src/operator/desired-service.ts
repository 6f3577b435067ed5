import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { Service } from '../kube/resources.ts';
import { childMeta, childNames, serverSelector } from './child-names.ts';
import type { Served } from './served.ts';

/** The name of the pod's port, which the Service points to. */
export const REGISTRY_PORT_NAME = 'registry';

export function desiredService(registry: Stored<Served>): ApplyFields<Service> {
  const { type, port, nodePort, annotations, ...options } = registry.spec.service;
  return {
    metadata: {
      ...childMeta(registry, childNames(registry).service),
      ...(annotations !== undefined && { annotations }),
    },
    spec: {
      type,
      // Named as the Service names them.
      ...options,
      selector: serverSelector(registry),
      ports: [
        {
          name: REGISTRY_PORT_NAME,
          port,
          protocol: 'TCP',
          targetPort: REGISTRY_PORT_NAME,
          ...(nodePort !== undefined && { nodePort }),
        },
      ],
    },
  };
}
