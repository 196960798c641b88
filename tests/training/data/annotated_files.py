"""Databases and annotations of pictures with boxes, written as SSD's tools do."""

import json

import numpy as np
from data_files import png, write_lmdb
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# SSD300's own.
DISTORT = {
    "brightness_prob": 0.5,
    "brightness_delta": 32,
    "contrast_prob": 0.5,
    "contrast_lower": 0.5,
    "contrast_upper": 1.5,
    "hue_prob": 0.5,
    "hue_delta": 18,
    "saturation_prob": 0.5,
    "saturation_lower": 0.5,
    "saturation_upper": 1.5,
}


def message(name):
    """Return a message class of the fork's, from a description of its own."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"ssd.{name}"))


def _described():
    file = descriptor_pb2.FileDescriptorProto(name="ssd.proto", package="ssd")
    kinds = {
        "Datum": ["channels i", "height i", "width i", "data b", "label i", "f f*"]
        + ["encoded o"],
        "NormalizedBBox": ["xmin f", "ymin f", "xmax f", "ymax f", "label i"]
        + ["difficult o", "score f", "size f"],
        "Annotation": ["instance_id i", "bbox NormalizedBBox"],
        "AnnotationGroup": ["group_label i", "annotation Annotation*"],
        "AnnotatedDatum": [
            "datum Datum",
            "type i",
            "annotation_group AnnotationGroup*",
        ],
    }
    scalars = {"i": 5, "b": 12, "f": 2, "o": 8}
    for name, fields in kinds.items():
        described = file.message_type.add(name=name)
        for number, field in enumerate(fields, 1):
            word, kind = field.split()
            added = described.field.add(name=word, number=number)
            added.label = 3 if kind.endswith("*") else 1
            kind = kind.rstrip("*")
            added.type = scalars.get(kind, 11)
            if kind not in scalars:
                added.type_name = f".ssd.{kind}"
    return file


_POOL = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(_described().SerializeToString())


def annotated_datum(rgb, groups, typed=True, **fields):
    """Return a serialized record of a picture, stored as PNG.

    `groups` are pairs of a label and boxes: x1, y1, x2, y2, and difficult or nothing.
    """
    stored = {"data": png(rgb), "encoded": True, **fields}
    record = message("AnnotatedDatum")(datum=stored)
    if typed:
        record.type = 0
    for label, boxes in groups:
        group = record.annotation_group.add(group_label=label)
        for instance, (x1, y1, x2, y2, *difficult) in enumerate(boxes):
            one = group.annotation.add(instance_id=instance)
            one.bbox.xmin, one.bbox.ymin, one.bbox.xmax, one.bbox.ymax = x1, y1, x2, y2
            one.bbox.difficult = bool(difficult and difficult[0])
    return record.SerializeToString()


def scene(seed, size=(40, 48), objects=3):
    """Return a picture and its groups, as `annotated_datum` takes them."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (*size, 3), dtype="uint8")
    groups = []
    for label in rng.permutation(20)[:objects] + 1:
        start = rng.integers(0, 40, 2) / 64
        stop = start + rng.integers(8, 24, 2) / 64
        box = (*start.tolist(), *stop.tolist(), int(rng.integers(0, 2)))
        groups.append((int(label), [box]))
    return rgb, groups


def write_scenes(path, count, **options):
    scenes = [scene(seed, **options) for seed in range(count)]
    write_lmdb(path, [annotated_datum(*one) for one in scenes])
    return scenes


def voc_xml(size, objects, head="", filename="../../etc/passwd"):
    """Return an annotation; `objects` are name, corners, and what else there is."""
    listed = "".join(
        f"<object><name>{name}</name>{rest}<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, (x1, y1, x2, y2), rest in objects
    )
    return (
        f"{head}<annotation><folder>VOC2007</folder><filename>{filename}</filename>"
        f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth>"
        f"</size>{listed}</annotation>"
    )


def write_voc(folder, pictures, annotations):
    for name, rgb in pictures.items():
        path = folder / "JPEGImages" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(rgb))
    for name, text in annotations.items():
        path = folder / "Annotations" / f"{name}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def write_coco(path, images, annotations, categories):
    told = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(told))
    return path


LABEL_MAP = """
item { name: "none_of_the_above" label: 0 display_name: "background" }
item { name: "dog" label: 12 display_name: "Dog" }
item { name: "cat" label: 8 }
"""
