"""The parts that candidates are assembled from: retriever, reader, router, writer."""
