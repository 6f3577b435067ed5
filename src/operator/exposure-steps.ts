import type { Registry } from '../api/registry.ts';
import { done, waiting, type Outcome } from '../kube/outcome.ts';
import { applyChild } from './apply-child.ts';
import { childNames } from './child-names.ts';
import { desiredIngress, desiredRoute, hostOf, routeKind } from './desired-ingress.ts';
import { desiredPrometheusRule, desiredServiceMonitor, desiredStatusService } from './desired-monitoring.ts';
import { desiredNetworkPolicy } from './desired-network-policy.ts';
import { desiredService } from './desired-service.ts';
import { applyForeign, foreignKinds, seeForeign } from './foreign-kinds.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import { removeChild } from './remove-child.ts';

/** How often what can't be watched is looked at. */
const UNWATCHED_MS = 60_000;

/**
 * What the spec no longer asks for of kinds that are not watched. First of all: the status tells next that the change
 * was seen, also when a later step waits. An idle Registry asks nothing.
 */
export async function removeForeign({ kube }: RegistryTools, { registry }: RegistryLook): Promise<Outcome> {
  const { metadata, status, spec } = registry;
  if (metadata.generation === (status?.observedGeneration ?? 1)) return done;
  const names = childNames(registry);
  const route =
    registry.kind === 'Registry' && registry.spec.gateway !== undefined
      ? routeKind(registry.spec)
      : undefined;
  const kinds = [
    ['Certificate', names.certManagerCertificate, spec.tls.mode === 'CertManager'],
    ['HTTPRoute', names.route, route === 'HTTPRoute'],
    ['TLSRoute', names.route, route === 'TLSRoute'],
    ['ServiceMonitor', names.serviceMonitor, spec.metrics?.serviceMonitor !== undefined],
    ['PrometheusRule', names.prometheusRule, spec.metrics?.prometheusRule !== undefined],
  ] as const;
  for (const [kind, name, isWanted] of kinds) {
    if (isWanted) continue;
    const seen = await seeForeign(kube, foreignKinds[kind], registry);
    if (seen !== undefined) await removeChild(kube, seen, registry, name);
  }
  return done;
}

/** Before all that waits, since its addresses are names of the certificate. */
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
    await removeChild(kube, world.networkPolicies, registry, childNames(registry).networkPolicy);
    return done;
  }
  const desired = desiredNetworkPolicy(registry, networkPolicy, operatorNamespace);
  const child = await applyChild(kube, world.networkPolicies, registry, desired);
  return child.outcome ?? done;
}

export async function makeIngress(
  { kube, world }: RegistryTools,
  { registry }: RegistryLook<Registry>,
): Promise<Outcome> {
  const { ingress, hostname } = registry.spec;
  if (ingress === undefined || hostname === undefined) {
    await removeChild(kube, world.ingresses, registry, childNames(registry).ingress);
    return done;
  }
  const desired = desiredIngress(registry, ingress, hostOf(hostname));
  const child = await applyChild(kube, world.ingresses, registry, desired);
  return child.outcome ?? done;
}

/** Without the kind nobody reaches the registry by its name, so that this is told and not passed over. */
export async function makeRoute(
  tools: RegistryTools,
  { registry }: RegistryLook<Registry>,
): Promise<Outcome> {
  const { gateway, hostname } = registry.spec;
  if (gateway === undefined || hostname === undefined) return done;
  const kind = routeKind(registry.spec);
  const desired = desiredRoute(registry, gateway, hostOf(hostname));
  const outcome = await applyForeign(tools.kube, registry, kind, desired);
  if (outcome !== 'not-installed') return outcome;
  return waiting(
    UNWATCHED_MS,
    'KindNotInstalled',
    `The cluster has no kind ${kind}. Install the Gateway API and a controller for it, or remove spec.gateway.`,
  );
}

/** What monitoring needs is made where its kinds are there. */
export async function makeMonitoring(tools: RegistryTools, { registry }: RegistryLook): Promise<Outcome> {
  const { kube, world } = tools;
  const { serviceMonitor, prometheusRule } = registry.spec.metrics ?? {};
  if (serviceMonitor === undefined) {
    await removeChild(kube, world.services, registry, childNames(registry).statusService);
  } else {
    const service = await applyChild(kube, world.services, registry, desiredStatusService(registry));
    if (service.outcome !== undefined) return service.outcome;
  }
  const wanted = {
    ServiceMonitor: serviceMonitor && desiredServiceMonitor(registry, serviceMonitor),
    PrometheusRule: prometheusRule && desiredPrometheusRule(registry, prometheusRule),
  };
  for (const kind of ['ServiceMonitor', 'PrometheusRule'] as const) {
    const desired = wanted[kind];
    if (desired === undefined) continue;
    const outcome = await applyForeign(tools.kube, registry, kind, desired);
    if (outcome !== 'not-installed' && outcome.kind !== 'done') return outcome;
  }
  return done;
}
