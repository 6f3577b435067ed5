import type { ApplyFields } from '../kube/client.ts';
import { done, waiting, type Outcome } from '../kube/outcome.ts';
import type { ForeignObject } from '../kube/resources.ts';
import { applyChild } from './apply-child.ts';
import { childNames } from './child-names.ts';
import { desiredIngress, desiredRoute, hostOf, routeKind } from './desired-ingress.ts';
import { desiredPrometheusRule, desiredServiceMonitor, desiredStatusService } from './desired-monitoring.ts';
import { desiredNetworkPolicy } from './desired-network-policy.ts';
import { desiredService } from './desired-service.ts';
import { foreignKinds, seeForeign } from './foreign-kinds.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import { removeChild } from './remove-child.ts';

/** How often what can't be watched is looked at. */
const UNWATCHED_MS = 60_000;

/** First, since its addresses are names of the certificate. */
export async function exposeService({ kube, world }: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const child = await applyChild(kube, world.services, look.registry, desiredService(look.registry));
  if (child.outcome !== undefined) return child.outcome;
  look.service = child.object;
  return done;
}

export async function limitNetwork(
  { kube, world, operatorNamespace }: RegistryTools,
  { registry }: RegistryLook,
): Promise<Outcome> {
  const { networkPolicy } = registry.spec;
  if (networkPolicy === undefined) {
    await removeChild(
      kube,
      world.networkPolicies,
      registry,
      childNames(registry.metadata.name).networkPolicy,
    );
    return done;
  }
  const desired = desiredNetworkPolicy(registry, networkPolicy, operatorNamespace);
  const child = await applyChild(kube, world.networkPolicies, registry, desired);
  return child.outcome ?? done;
}

export async function makeIngress(
  { kube, world }: RegistryTools,
  { registry }: RegistryLook,
): Promise<Outcome> {
  const { ingress, hostname } = registry.spec;
  if (ingress === undefined || hostname === undefined) {
    await removeChild(kube, world.ingresses, registry, childNames(registry.metadata.name).ingress);
    return done;
  }
  const desired = desiredIngress(registry, ingress, hostOf(hostname));
  const child = await applyChild(kube, world.ingresses, registry, desired);
  return child.outcome ?? done;
}

/** Without the kind nobody reaches the registry by its name, so that this is told and not passed over. */
export async function makeRoute(tools: RegistryTools, { registry }: RegistryLook): Promise<Outcome> {
  const { gateway, hostname } = registry.spec;
  const kind = gateway === undefined ? undefined : routeKind(registry.spec);
  const desired =
    gateway === undefined || hostname === undefined
      ? undefined
      : desiredRoute(registry, gateway, hostOf(hostname));
  for (const name of ['HTTPRoute', 'TLSRoute'] as const) {
    const outcome = await keepForeign(tools, { registry }, name, kind === name ? desired : undefined);
    if (outcome === 'not-installed') {
      return waiting(
        UNWATCHED_MS,
        'KindNotInstalled',
        `The cluster has no kind ${name}. Install the Gateway API and a controller for it, or remove spec.gateway.`,
      );
    }
    if (outcome.kind !== 'done') return outcome;
  }
  return done;
}

/** What monitoring needs is made where its kinds are there. */
export async function makeMonitoring(tools: RegistryTools, { registry }: RegistryLook): Promise<Outcome> {
  const { kube, world } = tools;
  const { serviceMonitor, prometheusRule } = registry.spec.metrics ?? {};
  if (serviceMonitor === undefined) {
    await removeChild(kube, world.services, registry, childNames(registry.metadata.name).statusService);
  } else {
    const service = await applyChild(kube, world.services, registry, desiredStatusService(registry));
    if (service.outcome !== undefined) return service.outcome;
  }
  const wanted = {
    ServiceMonitor: serviceMonitor && desiredServiceMonitor(registry, serviceMonitor),
    PrometheusRule: prometheusRule && desiredPrometheusRule(registry, prometheusRule),
  };
  for (const name of ['ServiceMonitor', 'PrometheusRule'] as const) {
    const outcome = await keepForeign(tools, { registry }, name, wanted[name]);
    if (outcome !== 'not-installed' && outcome.kind !== 'done') return outcome;
  }
  return done;
}

/** Makes the object as desired, or removes it where it is not desired any more. */
export async function keepForeign(
  { kube }: RegistryTools,
  { registry }: Pick<RegistryLook, 'registry'>,
  kind: keyof typeof foreignKinds,
  desired: ApplyFields<ForeignObject> | undefined,
): Promise<Outcome | 'not-installed'> {
  const { metadata, status } = registry;
  // What is not wanted is looked for after changes alone: an idle Registry asks nothing.
  const isChanged = status !== undefined && status.observedGeneration !== metadata.generation;
  if (desired === undefined && !isChanged) return done;
  const seen = await seeForeign(kube, foreignKinds[kind], registry);
  if (desired === undefined) {
    if (seen !== undefined) await removeChild(kube, seen, registry, metadata.name);
    return done;
  }
  if (seen === undefined) return 'not-installed';
  const child = await applyChild(kube, seen, registry, desired);
  return child.outcome ?? done;
}
