import type { Infer, ObjectSchema, ValidationRule } from './schema.ts';

/** Everything the project says about one custom resource; the CRD, the types and the documentation come from it. */
export interface ResourceDefinition {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly spec: ObjectSchema;
  readonly status: ObjectSchema;
  /** Rules that read more than `spec`, such as the name. */
  readonly rules: readonly ValidationRule[];
  readonly printerColumns: readonly PrinterColumn[];
  /** Where `kubectl scale` and autoscalers find numbers and selector, as in the CustomResourceDefinition. */
  readonly scale?: {
    readonly specReplicasPath: string;
    readonly statusReplicasPath: string;
    readonly labelSelectorPath: string;
  };
}

/** A column of `kubectl get`. */
interface PrinterColumn {
  readonly name: string;
  /** `date` prints the time since, so a time that lies ahead is a `string`. */
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** 1: only with `-o wide`. */
  readonly priority?: number;
}

/** An object as it is read from the API server: defaulted and validated. */
export interface CustomObject<Definition extends ResourceDefinition> {
  readonly apiVersion: string;
  readonly kind: Definition['kind'];
  readonly metadata: ObjectMeta;
  readonly spec: Infer<Definition['spec']>;
  readonly status?: Infer<Definition['status']>;
}

/** The part of Kubernetes' ObjectMeta that this project reads. */
interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  /** RFC 3339, UTC. */
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
}
