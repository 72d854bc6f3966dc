"""What differs where nodes are machines of a cloud: which cloud it is, what its network drops.

What comes in: what the machine's firmware and its Node say, pools, one setting. What goes out:
warnings for people, and on Amazon one request to EC2's API, where somebody switched that on. It
never touches the kernel, and no secret leaves it but in the signature of a request.
"""
